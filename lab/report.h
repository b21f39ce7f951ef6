/* A ranking as text for people and as one JSON document, the same for all families and byte for byte the same for the same
 * seed: figures measured with a clock are shown with `timing` only. */
#pragma once

#include "lab/json.h"
#include "lab/select.h"

/* lab_report_text(ranking, timing): tables and the reasons. Caller frees. */
char *lab_report_text(const struct lab_ranking *ranking, gboolean timing);

/* lab_report_json(ranking, timing): one line with its end. Caller frees. */
char *lab_report_json(const struct lab_ranking *ranking, gboolean timing);

/* lab_report_members(json, ranking, timing): the members of that document, into an object that is open already, so that
 * a family can add its own. */
void lab_report_members(struct lab_json *json, const struct lab_ranking *ranking, gboolean timing);

/* lab_columns(rows): rows of cells (NULL-terminated GStrv, the first row headings) as aligned text; cells that
 * are numbers are aligned to the right. Caller frees. */
char *lab_columns(GPtrArray *rows);

/* lab_number(value, digits): rounded to significant digits, without exponent where that is legible. Caller frees. */
char *lab_number(double value, int digits);
