/* What the comment at the head of a strategy's source says of it; the table is made from there when Polder is built. */
#pragma once

#include <glib.h>

#define LAB_DOC_SECTIONS_MAX 8

struct lab_doc_section {
	const char *heading; /* "Idea", "Source", "Complexity", "Loses"; NULL ends them */
	const char *text;    /* paragraphs, separated by an empty line */
};

struct lab_strategy_doc {
	const char *family, *name;
	struct lab_doc_section section[LAB_DOC_SECTIONS_MAX + 1];
};

extern const struct lab_strategy_doc lab_strategy_docs[]; /* ended by name NULL */

/* lab_strategy_doc_find(family, name): NULL when its source says nothing. */
const struct lab_strategy_doc *lab_strategy_doc_find(const char *family, const char *name);
