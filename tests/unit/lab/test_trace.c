/* Traces: every format read right, every fault told with its line and column, nothing kept that need not be. */
#include "lab/trace.h"

#include <glib/gstdio.h>
#include <string.h>

#include "lab/error.h"

#define AZURE  "vm_id,batch_id,vcpus,mem_gib,arrival_s,life_lo_s,life_hi_s,censored\n"
#define HUAWEI "vmid,cpu,mem,at,lt\n"
#define EVENTS "time_s,event,vm,cpus,memory_mib,tenant,group,numa_nodes,priority,host,strategy,note\n"

static struct trace *load_bytes(const void *data, gsize size, GError **error)
{
	g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_data(data, (gssize)size, NULL);
	struct trace_options options = { 0 };

	return trace_load_stream(stream, "T", &options, error);
}

static struct trace *load(const char *text)
{
	g_autoptr(GError) error = NULL;
	struct trace *trace = load_bytes(text, strlen(text), &error);

	g_assert_no_error(error);
	return trace;
}

/* "c0@0 d0@300": kinds, slots and seconds. */
static char *events(const struct trace *trace)
{
	struct trace_cursor *cursor = trace_cursor_new(trace, NULL);
	GString *text = g_string_new(NULL);
	struct trace_event event;

	while (trace_cursor_next(cursor, &event, NULL) > 0)
		g_string_append_printf(text, "%s%c%u@%g", text->len ? " " : "", "cdr"[event.kind], event.slot,
				       (double)event.time_us / 1e6);
	trace_cursor_free(cursor);
	return g_string_free(text, FALSE);
}

static void test_azure(void)
{
	/* What comes and what goes at one time: what comes first. Bins' middles are on the five-minute grid. */
	g_autoptr(trace_auto) trace = load(AZURE "0,0,8,14,0,300,300,0\n"
						 "1,7,1,0.75,300,3900,7200,0\n"
						 "2,7,2,3.5,600,900,172800,1\n");
	g_autofree char *text = events(trace);

	g_assert_cmpstr(text, ==, "c0@0 c1@300 d0@300 c0@600 d1@5700");
	g_assert_cmpint(trace->format, ==, TRACE_AZURE);
	g_assert_cmpint(trace->end_us, ==, 1500000000); /* the window the third was seen in */
	g_assert_cmpuint(trace->n_creates, ==, 3);
	g_assert_cmpuint(trace->peak_vms, ==, 2);
	g_assert_true(trace->has_groups && !trace->has_tenants);
	const struct trace_event *second = &g_array_index(trace->kept, struct trace_event, 1);
	g_assert_cmpuint(second->cpus_milli, ==, 1000);
	g_assert_cmpuint(second->memory_mib, ==, 768);
	g_assert_cmpuint(second->batch, ==, 8);
}

static void test_huawei(void)
{
	g_autoptr(trace_auto) trace = load(HUAWEI "0,4,16,0.0,194.0\n1,4,16,2.0,498.0\n2,4,16,2.0,10\n3,2,16,2.0,10\n");
	g_autofree char *text = events(trace);
	const struct trace_event *event = (const struct trace_event *)(void *)trace->kept->data;

	g_assert_cmpstr(text, ==, "c0@0 c1@2 c2@2 c3@2 d2@12 d3@12 d0@194 d1@500");
	g_assert_cmpuint(event[1].batch, ==, event[2].batch); /* one size at one time: one batch */
	g_assert_cmpuint(event[0].batch, !=, event[1].batch);
	g_assert_cmpuint(event[2].batch, !=, event[3].batch);
}

static void test_events(void)
{
	g_autoptr(trace_auto) trace =
		load("# a comment\n" EVENTS "0,host,h1,8,16384,,r1,2,,,,\n0,host,h2,8,16384,,r2,2,,,,\n"
		     "0.5,create,\"a,b\",2,2048,red,db,,,,,\r\n\n"
		     "1,create,c,0.5004,512,blue,,2,-5,h1,first-fit,\"said \"\"no\"\"\"\n"
		     "2,refuse,d,64,512,,,,,,,\n"
		     "3,delete,\"a,b\",,,,,,,,,\n4,create,\"a,b\",2,2048,red,db,,,,,\n");
	g_autofree char *text = events(trace);
	const struct trace_event *event = (const struct trace_event *)(void *)trace->kept->data;

	g_assert_cmpstr(text, ==, "c0@0.5 c1@1 r0@2 d0@3 c0@4");
	g_assert_cmpuint(trace->n_refused, ==, 1);
	g_assert_cmpuint(trace->fleet->hosts->len, ==, 2);
	g_assert_cmpuint(g_array_index(trace->fleet->hosts, struct allocation_host, 1).rack, ==, 2);
	g_assert_cmpuint(event[1].cpus_milli, ==, 501); /* never less than asked for */
	g_assert_cmpint(event[1].priority, ==, -5);
	g_assert_cmpuint(event[1].numa_nodes, ==, 2);
	g_assert_cmpuint(event[0].tenant, ==, event[4].tenant);
	g_assert_cmpuint(event[0].tenant, !=, event[1].tenant);
}

static const struct fault {
	const char *text, *says;
} faults[] = {
	{ "", "T is empty" },
	{ "a,b\n1,2\n", "line 1: the header is of no known trace" },
	{ "vm_id,batch_id\n", "the column vcpus is missing" },
	{ HUAWEI, "asks for no VM" },
	{ "vmid,cpu,mem,at,lt,colour\n", "line 1, column 6 (colour): unknown column" },
	{ "vmid,cpu,mem,at,lt,cpu\n", "column 6: the column cpu is there twice" },
	{ HUAWEI "0,4,16,0.0\n", "line 2, column 5 (lt): is missing: 4 fields where the header names 5" },
	{ HUAWEI "0,4,16,0,1\n1,-4,16,0,1\n", "line 3, column 2 (cpu): -4 is negative" },
	{ HUAWEI "0,four,16,0,1\n", "line 2, column 2 (cpu): 'four' is not a number" },
	{ HUAWEI "0,nan,16,0,1\n", "not a number" },
	{ HUAWEI "0,1e9,16,0,1\n", "not a number" },
	{ HUAWEI "0,,16,0,1\n", "column 2 (cpu): nothing there" },
	{ HUAWEI "0,0,16,0,1\n", "column 2 (cpu): 0 vCPUs" },
	{ HUAWEI "0,1,0,0,1\n", "column 3 (mem): no memory" },
	{ HUAWEI "0,100000,16,0,1\n", "column 2 (cpu): 100000 is absurd: at most 65536" },
	{ HUAWEI "0,1,99999999,0,1\n", "column 3 (mem): 99999999 is absurd" },
	{ HUAWEI "0,1,99999999999999999999999999,0,1\n", "not a number" },
	{ HUAWEI "0,1,1,0,99999999999\n", "column 5 (lt): 99999999999 is absurd" },
	{ HUAWEI "0,1,1,5,1\n1,1,1,4,1\n", "line 3, column 4 (at): time runs backwards" },
	{ HUAWEI "0,1,1,0,1\n0,1,1,4,1\n", "line 3, column 1 (vmid): this id was there before" },
	{ AZURE "0,0,8,14,0,300,200,0\n", "column 7 (life_hi_s): the longest lifetime is shorter" },
	{ AZURE "0,0,8,14,0,300,300,2\n", "column 8 (censored): 2 is absurd" },
	{ EVENTS "0,delete,a,,,,,,,,,\n", "line 2, column 3 (vm): a is deleted without a create" },
	{ EVENTS "0,create,a,1,1,,,,,,,\n0,create,a,1,1,,,,,,,\n", "line 3, column 3 (vm): a is created again" },
	{ EVENTS "0,born,a,1,1,,,,,,,\n", "line 2, column 2 (event): 'born' is no event" },
	{ EVENTS "0,create,,1,1,,,,,,,\n", "column 3 (vm): a row needs the name" },
	{ EVENTS "0,create,a,1,1,,,,high,,,\n", "column 9 (priority): 'high' is no priority" },
	{ EVENTS "0,create,a,1,1,,,9,,,,\n", "column 8 (numa_nodes): 9 is absurd" },
	{ EVENTS "0,host,a,1,0,,,,,,,\n", "host a: not a host" },
	{ EVENTS "0,create,\"a,1,1,,,,,,,\n", "column 3 (vm): the quote is never closed" },
	{ EVENTS "0,create,\"a\"b,1,1,,,,,,,\n", "column 3 (vm): text after the closing quote" },
	{ "time_s,event,vm\n0,create,a\n", "the columns cpus and memory_mib are missing" },
};

static void test_faults(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(faults); i++) {
		g_autoptr(GError) error = NULL;
		struct trace *trace = load_bytes(faults[i].text, strlen(faults[i].text), &error);

		g_assert_null(trace);
		g_assert_error(error, LAB_ERROR, LAB_ERROR_INVALID);
		if (!strstr(error->message, faults[i].says) || !g_str_has_prefix(error->message, "T"))
			g_error("fault %zu: expected “%s” in “%s”", i, faults[i].says, error->message);
	}
}

static void test_bytes(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *line = g_strnfill(TRACE_KEPT_MAX / 256, '1');
	g_autofree char *text = g_strconcat(HUAWEI, line, "\n", NULL);

	g_assert_null(load_bytes(text, strlen(text), &error));
	g_assert_nonnull(strstr(error->message, "T, line 2: longer than 4096 bytes"));
	g_clear_error(&error);
	g_assert_null(load_bytes(HUAWEI "0,1,\0001,0,1\n", strlen(HUAWEI) + 12, &error));
	g_assert_nonnull(strstr(error->message, "line 2: contains a NUL byte"));
}

static GByteArray *gzip(const char *text)
{
	g_autoptr(GConverter) zip = G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, -1));
	guint8 out[4096];
	gsize taken, made;

	g_assert_cmpint(g_converter_convert(zip, text, strlen(text), out, sizeof out, G_CONVERTER_INPUT_AT_END, &taken,
					    &made, NULL),
			==, G_CONVERTER_FINISHED);
	return g_byte_array_append(g_byte_array_new(), out, (guint)made);
}

static void test_gzip(void)
{
	g_autoptr(GByteArray) first = gzip(HUAWEI "0,1,1,0,5\n"), second = gzip("1,1,1,1,5\n");
	g_autoptr(GError) error = NULL;

	g_byte_array_append(first, second->data, second->len); /* two members are one file */
	g_autoptr(trace_auto) trace = load_bytes(first->data, first->len, &error);
	g_assert_no_error(error);
	g_autofree char *text = events(trace);
	g_assert_cmpstr(text, ==, "c0@0 c1@1 d0@5 d1@6");

	g_assert_null(load_bytes(first->data, first->len - 9, &error));
	g_assert_nonnull(strstr(error->message, "ends too early"));
	g_clear_error(&error);
	memset(first->data + 12, 0xff, 8);
	g_assert_null(load_bytes(first->data, first->len, &error));
	g_assert_nonnull(strstr(error->message, "damaged"));
}

/* A trace too large to be kept is read again, and is the same. */
static void test_streamed(void)
{
	g_autofree char *path = NULL, *kept = NULL, *streamed = NULL;
	struct trace_options options = { 0 };
	int file = g_file_open_tmp("trace-XXXXXX.csv", &path, NULL);

	g_assert_true(g_file_set_contents(path, AZURE "0,0,8,14,0,300,300,0\n1,7,1,0.75,300,3900,7200,0\n", -1, NULL));
	g_autoptr(trace_auto) trace = trace_load(path, &options, NULL);
	kept = events(trace);
	g_clear_pointer(&trace->kept, g_array_unref);
	streamed = events(trace);
	g_assert_cmpstr(streamed, ==, kept);
	g_assert_true(g_close(file, NULL));
	g_unlink(path);
}

static void test_missing(void)
{
	g_autoptr(GError) error = NULL;
	struct trace_options options = { 0 };

	g_assert_null(trace_load("/nonexistent/t.csv", &options, &error));
	g_assert_error(error, LAB_ERROR, LAB_ERROR_NOT_FOUND);
}

static void test_synthetic(void)
{
	struct trace_options options = { 0 };
	g_autoptr(GError) error = NULL;
	g_autoptr(trace_auto) one = trace_load("synthetic:vms=500,seed=7", &options, NULL);
	g_autoptr(trace_auto) again = trace_load("synthetic:vms=500,seed=7", &options, NULL);
	g_autoptr(trace_auto) other = trace_load("synthetic:vms=500,seed=8", &options, NULL);
	g_autofree char *text = events(one), *text_again = events(again), *text_other = events(other);

	g_assert_cmpuint(one->n_creates, ==, 500);
	g_assert_cmpstr(text, ==, text_again);
	g_assert_cmpstr(text, !=, text_other);
	g_assert_true(one->has_tenants && one->has_groups);
	/* A week of arrivals, within a fifth. */
	g_assert_cmpfloat_with_epsilon((double)one->last_create_us / 3.6e9, 168, 34);
	g_assert_null(trace_load("synthetic:vms=0", &options, &error));
	g_assert_nonnull(strstr(error->message, "vms=0 must be a whole number from 1"));
	g_clear_error(&error);
	g_assert_null(trace_load("synthetic:colour=3", &options, &error));
	g_assert_nonnull(strstr(error->message, "none of its parameters: vms, seed"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/trace/azure", test_azure);
	g_test_add_func("/trace/huawei", test_huawei);
	g_test_add_func("/trace/events", test_events);
	g_test_add_func("/trace/faults", test_faults);
	g_test_add_func("/trace/bytes", test_bytes);
	g_test_add_func("/trace/gzip", test_gzip);
	g_test_add_func("/trace/streamed", test_streamed);
	g_test_add_func("/trace/missing", test_missing);
	g_test_add_func("/trace/synthetic", test_synthetic);
	return g_test_run();
}
