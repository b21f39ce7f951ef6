#include "lab/docs.h"

#include <string.h>

const struct lab_strategy_doc *lab_strategy_doc_find(const char *family, const char *name)
{
	for (const struct lab_strategy_doc *doc = lab_strategy_docs; doc->name; doc++)
		if (strcmp(doc->family, family) == 0 && strcmp(doc->name, name) == 0)
			return doc;
	return NULL;
}
