/* The texts in which people say where a VM may be and what hosts have. Every parser refuses with POLDER_ERROR_INVALID, the
 * text and an example; each has a `_check` that is usable as field.check. */
#pragma once

#include <glib.h>

/* As core/allocation/resources.h counts them. */
enum placement_level { PLACEMENT_HOST, PLACEMENT_RACK, PLACEMENT_ZONE };

/* term_parse("group=db@rack:soft=50"): affinity or anti-affinity to a group or to one VM. */
struct term {
	gboolean is_vm;      /* vm=NAME; else group=NAME */
	char name[64];       /* LIMIT_NAME_BYTES */
	int level;           /* enum placement_level */
	guint16 soft_weight; /* 0: hard; ":soft" alone is 100 */
};
gboolean term_parse(const char *text, struct term *out, GError **error);
gboolean term_check(const char *text, GError **error);

/* spread_parse("rack:2:soft=50"): over a level, with the greatest skew allowed (1 when left out). */
struct spread {
	int level;
	guint8 max_skew; /* 1–255 */
	guint16 soft_weight;
};
gboolean spread_parse(const char *text, struct spread *out, GError **error);
gboolean spread_check(const char *text, GError **error);

/* A label or taint: KEY or KEY=VALUE; keys of a-z A-Z 0-9 . _ / -, values of those too. */
gboolean label_check(const char *text, GError **error);

/* cpu_level_parse("x86-64-v3"): 3. */
gboolean cpu_level_parse(const char *text, guint32 *level, GError **error);
gboolean cpu_level_check(const char *text, GError **error);

/* extended_parse("gpu=2"): a kind by a name, and how many (1–1000000). */
struct extended {
	char name[64];
	guint32 count;
};
gboolean extended_parse(const char *text, struct extended *out, GError **error);
gboolean extended_check(const char *text, GError **error);

/* node_parse("40c90G+4G/2M+8G/1G"): a NUMA node: processor threads, ordinary memory, huge pages of a size. */
struct node_text {
	guint64 cpus;
	guint64 memory_bytes, huge_2m_bytes, huge_1g_bytes;
};
gboolean node_parse(const char *text, struct node_text *out, GError **error);
gboolean node_check(const char *text, GError **error);
/* node_format(node): what node_parse reads back. Caller frees. */
char *node_format(const struct node_text *node);

/* amount_parse("memory=16G"): a pool's share of a dimension: cpu (vCPUs, "8" or "0.5"), memory, huge-2m, huge-1g, disk (sizes),
 * network (bits a second: "10G" is 10^10), cpu-reserve (CPUs, as cpu). `value` in thousandths of a CPU, bytes, or bits a
 * second. */
enum amount_kind {
	AMOUNT_CPU,
	AMOUNT_MEMORY,
	AMOUNT_HUGE_2M,
	AMOUNT_HUGE_1G,
	AMOUNT_DISK,
	AMOUNT_NETWORK,
	AMOUNT_CPU_RESERVE
};
struct amount {
	enum amount_kind kind; /* numbered as enum allocation_dimension */
	guint64 value;
};
gboolean amount_parse(const char *text, struct amount *out, GError **error);
gboolean amount_check(const char *text, GError **error);

/* A strategy's parameter: NAME=VALUE. Whether the strategy has it is for control to say. */
gboolean parameter_check(const char *text, GError **error);
