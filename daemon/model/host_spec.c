#include "daemon/model/table.h"

#define OFFSET(member) offsetof(struct host_spec, member)

static const struct field fields[] = {
	{ .name = "labels",
	  .type = FIELD_STRINGS,
	  .offset = OFFSET(labels),
	  .flags = FIELD_CREATE | FIELD_UPDATE,
	  .max = LIMIT_LABELS,
	  .check = label_check,
	  .column = "LABELS",
	  .doc = "What the host is, as rack=r1, zone=a, disk=ssd; rack and zone are its failure domains." },
	{ .name = "taints",
	  .type = FIELD_STRINGS,
	  .offset = OFFSET(taints),
	  .flags = FIELD_CREATE | FIELD_UPDATE,
	  .max = LIMIT_LABELS,
	  .check = label_check,
	  .column = "TAINTS",
	  .doc = "What keeps VMs off that do not tolerate it." },
	{ .name = "cordoned",
	  .type = FIELD_BOOL,
	  .offset = OFFSET(cordoned),
	  .flags = FIELD_CREATE | FIELD_UPDATE,
	  .column = "CORDONED",
	  .doc = "It takes no new VM." },
	{ .name = "cpu_overcommit_percent",
	  .type = FIELD_UINT,
	  .offset = OFFSET(cpu_overcommit_percent),
	  .flags = FIELD_CREATE | FIELD_UPDATE,
	  .max = LIMIT_OVERCOMMIT_PERCENT,
	  .doc = "vCPUs given out for each 100 processor threads; 0: 1600 on real hosts, 100 on simulated ones." },
	{ .name = "memory_overcommit_percent",
	  .type = FIELD_UINT,
	  .offset = OFFSET(memory_overcommit_percent),
	  .flags = FIELD_CREATE | FIELD_UPDATE,
	  .max = LIMIT_OVERCOMMIT_PERCENT,
	  .initial = 100,
	  .doc = "Memory given out for each 100 that the host has; 0: 100." },
};

const struct noun host_spec_noun = NOUN("host-spec", host_spec, fields, "What is wished of a host.");
