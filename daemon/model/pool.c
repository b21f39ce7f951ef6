#include "daemon/model/table.h"

#define OFFSET(member) offsetof(struct pool, member)

static const struct field fields[] = {
	{ .name = "name",
	  .type = FIELD_STRING,
	  .offset = OFFSET(name),
	  .flags = FIELD_CREATE | FIELD_REQUIRED,
	  .min = 1,
	  .max = LIMIT_NAME_BYTES,
	  .check = name_check,
	  .column = "NAME",
	  .doc = "The pool's name." },
	{ .name = "description",
	  .type = FIELD_STRING,
	  .offset = OFFSET(description),
	  .flags = FIELD_CREATE | FIELD_UPDATE,
	  .max = 1024,
	  .column = "DESCRIPTION",
	  .doc = "What it is for." },
};

const struct noun pool_noun = NOUN("pool", pool, fields, "A compute pool: the hosts among which a VM is placed.");
