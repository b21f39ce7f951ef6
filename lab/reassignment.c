#include "lab/reassignment.h"

#include <glib/gstdio.h>
#include <string.h>

#include "lab/error.h"

/* Whole numbers, one after another. After a failure every further one is 0 and the first error stays. */
struct numbers {
	const struct lab_text *file;
	gsize at, line, column;   /* of the next character */
	gsize of_line, of_column; /* of the number last read */
	GError *error;
};

static void numbers_init(struct numbers *numbers, const struct lab_text *file)
{
	*numbers = (struct numbers) { .file = file, .line = 1, .column = 1 };
}

static void G_GNUC_PRINTF(2, 3) fail(struct numbers *numbers, const char *format, ...)
{
	g_autofree char *what = NULL;
	va_list arguments;

	if (numbers->error)
		return;
	va_start(arguments, format);
	what = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_set_error(&numbers->error, LAB_ERROR, LAB_ERROR_INVALID,
		    "%s, line %" G_GSIZE_FORMAT ", column %" G_GSIZE_FORMAT ": %s", numbers->file->name,
		    numbers->of_line, numbers->of_column, what);
}

static void skip_space(struct numbers *numbers)
{
	const struct lab_text *file = numbers->file;

	while (numbers->at < file->length && g_ascii_isspace(file->text[numbers->at])) {
		gboolean ends = file->text[numbers->at++] == '\n';

		numbers->line += ends;
		numbers->column = ends ? 1 : numbers->column + 1;
	}
	numbers->of_line = numbers->line;
	numbers->of_column = numbers->column;
}

/* The next number, from 0 to `max`; `what` it is, for complaints. */
static gint64 next(struct numbers *numbers, gint64 max, const char *what)
{
	const struct lab_text *file = numbers->file;
	gint64 value = 0;
	gsize begin;

	if (numbers->error)
		return 0;
	skip_space(numbers);
	begin = numbers->at;
	if (begin == file->length) {
		fail(numbers, "the file ends where %s should be", what);
		return 0;
	}
	for (; numbers->at < file->length && g_ascii_isdigit(file->text[numbers->at]) && value <= max; numbers->at++)
		value = value * 10 + (file->text[numbers->at] - '0');
	numbers->column += numbers->at - begin;
	if (value > max)
		fail(numbers, "%s is more than %" G_GINT64_FORMAT, what, max);
	else if (numbers->at == begin && file->text[begin] == '-')
		fail(numbers, "%s is negative", what);
	else if (numbers->at == begin || (numbers->at < file->length && !g_ascii_isspace(file->text[numbers->at])))
		fail(numbers, "%s is not a whole number", what);
	return numbers->error ? 0 : value;
}

/* A count of things of which each takes at least `each` numbers: no more than the rest of the file can hold. */
static guint32 next_count(struct numbers *numbers, gint64 max, gsize each, const char *what)
{
	gint64 count = next(numbers, max, what);
	gsize rest = (numbers->file->length - numbers->at + 1) / 2;

	if (!numbers->error && each && (gsize)count > rest / each) {
		fail(numbers, "%s is %" G_GINT64_FORMAT ", more than the rest of the file can describe", what, count);
		return 0;
	}
	return (guint32)count;
}

static void ends(struct numbers *numbers)
{
	if (numbers->error)
		return;
	skip_space(numbers);
	if (numbers->at < numbers->file->length)
		fail(numbers, "there is more after the last number that belongs here");
}

/* ---- The model, part by part ---- */

struct reader {
	struct lab_reassignment *instance;
	struct numbers numbers;
};

static gpointer keep(struct reader *reader, gsize n, gsize bytes)
{
	gpointer part = g_malloc0_n(n + 1, bytes);

	g_ptr_array_add(reader->instance->parts, part);
	return part;
}

static void read_resources(struct reader *reader)
{
	struct rebalance_problem *problem = &reader->instance->problem;
	struct numbers *numbers = &reader->numbers;
	gint64 *weight;
	bool *transient;

	problem->n_resources = next_count(numbers, REBALANCE_RESOURCES_MAX, 2, "the number of resources");
	problem->is_transient = transient = keep(reader, problem->n_resources, sizeof *transient);
	problem->load_weight = weight = keep(reader, problem->n_resources, sizeof *weight);
	for (guint32 r = 0; r < problem->n_resources; r++) {
		transient[r] = next(numbers, 1, "whether a resource is transient") != 0;
		weight[r] = next(numbers, G_MAXINT32, "a resource's load weight");
	}
}

/* Neighbourhoods and locations may be numbered anyhow: made dense in order of first appearance. */
static guint32 dense(GHashTable *numbers, gint64 value)
{
	gpointer known = g_hash_table_lookup(numbers, GINT_TO_POINTER((gint)value));

	if (!known) {
		known = GUINT_TO_POINTER(g_hash_table_size(numbers) + 1);
		g_hash_table_insert(numbers, GINT_TO_POINTER((gint)value), known);
	}
	return GPOINTER_TO_UINT(known) - 1;
}

static void read_machines(struct reader *reader)
{
	struct rebalance_problem *problem = &reader->instance->problem;
	struct numbers *numbers = &reader->numbers;
	g_autoptr(GHashTable) neighbourhoods = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) locations = g_hash_table_new(NULL, NULL);
	gsize resources = problem->n_resources, machines;
	guint32 *neighbourhood, *location;
	gint64 *capacity, *safety, *distance;

	machines = problem->n_machines =
		next_count(numbers, REASSIGNMENT_MACHINES_MAX, 3 + 2 * resources, "the number of machines");
	if (!numbers->error && machines * machines > numbers->file->length)
		fail(numbers, "the number of machines is %u, more than the rest of the file can describe",
		     problem->n_machines);
	if (numbers->error)
		machines = 0;
	problem->neighbourhood = neighbourhood = keep(reader, machines, sizeof *neighbourhood);
	problem->location = location = keep(reader, machines, sizeof *location);
	problem->capacity = capacity = keep(reader, machines * resources, sizeof *capacity);
	problem->safety = safety = keep(reader, machines * resources, sizeof *safety);
	problem->distance = distance = keep(reader, machines * machines, sizeof *distance);
	for (gsize m = 0; m < machines && !numbers->error; m++) {
		neighbourhood[m] = dense(neighbourhoods, next(numbers, G_MAXINT32, "a machine's neighbourhood"));
		location[m] = dense(locations, next(numbers, G_MAXINT32, "a machine's location"));
		for (gsize r = 0; r < resources; r++)
			capacity[m * resources + r] = next(numbers, G_MAXINT32, "a machine's capacity");
		for (gsize r = 0; r < resources; r++)
			safety[m * resources + r] = next(numbers, G_MAXINT32, "a machine's safety capacity");
		for (gsize n = 0; n < machines; n++)
			distance[m * machines + n] = next(numbers, G_MAXINT32, "the cost of moves between machines");
	}
	problem->n_neighbourhoods = g_hash_table_size(neighbourhoods);
	problem->n_locations = g_hash_table_size(locations);
}

static void read_services(struct reader *reader)
{
	struct rebalance_problem *problem = &reader->instance->problem;
	struct numbers *numbers = &reader->numbers;
	g_autoptr(GArray) needs = g_array_new(FALSE, FALSE, sizeof(guint32));
	guint32 *start, *spread_min;

	problem->n_services = next_count(numbers, REASSIGNMENT_PROCESSES_MAX, 2, "the number of services");
	if ((guint64)problem->n_services * problem->n_machines > REASSIGNMENT_CELLS_MAX)
		fail(numbers, "%u services on %u machines are more than fit in memory here", problem->n_services,
		     problem->n_machines);
	problem->needs_start = start = keep(reader, (gsize)problem->n_services + 1, sizeof *start);
	problem->spread_min = spread_min = keep(reader, problem->n_services, sizeof *spread_min);
	for (guint32 s = 0; s < problem->n_services && !numbers->error; s++) {
		guint32 n;

		spread_min[s] = (guint32)next(numbers, G_MAXINT32, "a service's least number of locations");
		n = next_count(numbers, REASSIGNMENT_PROCESSES_MAX, 1, "the number of a service's dependencies");
		for (guint32 d = 0; d < n && !numbers->error; d++) {
			guint32 need =
				(guint32)next(numbers, (gint64)problem->n_services - 1, "the service depended on");

			g_array_append_val(needs, need);
		}
		start[s + 1] = needs->len;
	}
	problem->needs = keep(reader, needs->len, sizeof(guint32));
	if (needs->len)
		memcpy((gpointer)problem->needs, needs->data, needs->len * sizeof(guint32));
}

static void read_processes(struct reader *reader)
{
	struct rebalance_problem *problem = &reader->instance->problem;
	struct numbers *numbers = &reader->numbers;
	gsize resources = problem->n_resources;
	guint32 *service;
	gint64 *amount, *move_cost;

	problem->n_processes =
		next_count(numbers, REASSIGNMENT_PROCESSES_MAX, 2 + resources, "the number of processes");
	problem->service = service = keep(reader, problem->n_processes, sizeof *service);
	problem->amount = amount = keep(reader, problem->n_processes * resources, sizeof *amount);
	problem->move_cost = move_cost = keep(reader, problem->n_processes, sizeof *move_cost);
	for (gsize p = 0; p < problem->n_processes && !numbers->error; p++) {
		service[p] = (guint32)next(numbers, (gint64)problem->n_services - 1, "a process's service");
		for (gsize r = 0; r < resources; r++)
			amount[p * resources + r] = next(numbers, G_MAXINT32, "what a process takes of a resource");
		move_cost[p] = next(numbers, G_MAXINT32, "the cost of moving a process");
	}
}

static void read_costs(struct reader *reader)
{
	struct rebalance_problem *problem = &reader->instance->problem;
	struct numbers *numbers = &reader->numbers;
	struct rebalance_balance *balance;

	problem->n_balances = next_count(numbers, REBALANCE_BALANCES_MAX, 4, "the number of balance costs");
	problem->balance = balance = keep(reader, problem->n_balances, sizeof *balance);
	for (guint32 b = 0; b < problem->n_balances; b++) {
		gint64 last = (gint64)problem->n_resources - 1;

		balance[b].first = (guint32)next(numbers, last, "the first resource of a balance cost");
		balance[b].second = (guint32)next(numbers, last, "the second resource of a balance cost");
		balance[b].target = next(numbers, G_MAXINT32, "the target of a balance cost");
		balance[b].weight = next(numbers, G_MAXINT32, "the weight of a balance cost");
	}
	problem->process_move_weight = next(numbers, G_MAXINT32, "the weight of process moves");
	problem->service_move_weight = next(numbers, G_MAXINT32, "the weight of service moves");
	problem->machine_move_weight = next(numbers, G_MAXINT32, "the weight of machine moves");
	ends(numbers);
}

static gboolean read_model(struct lab_reassignment *instance, const struct lab_text *model, GError **error)
{
	struct reader reader = { .instance = instance };

	numbers_init(&reader.numbers, model);
	read_resources(&reader);
	read_machines(&reader);
	read_services(&reader);
	read_processes(&reader);
	read_costs(&reader);
	if (!reader.numbers.error)
		return TRUE;
	g_propagate_error(error, reader.numbers.error);
	return FALSE;
}

static gboolean read_assignment(struct lab_reassignment *instance, const struct lab_text *assignment, GError **error)
{
	struct reader reader = { .instance = instance };
	struct rebalance_problem *problem = &instance->problem;
	guint32 *initial = keep(&reader, problem->n_processes, sizeof *initial);

	numbers_init(&reader.numbers, assignment);
	problem->initial = initial;
	for (guint32 p = 0; p < problem->n_processes && !reader.numbers.error; p++)
		initial[p] = (guint32)next(&reader.numbers, (gint64)problem->n_machines - 1, "a process's machine");
	ends(&reader.numbers);
	if (!reader.numbers.error)
		return TRUE;
	g_propagate_error(error, reader.numbers.error);
	return FALSE;
}

struct lab_reassignment *lab_reassignment_parse(const struct lab_text *model, const struct lab_text *assignment,
						GError **error)
{
	g_autoptr(lab_reassignment_auto) instance = g_new0(struct lab_reassignment, 1);
	enum rebalance_violation violation;
	struct rebalance_cost cost;
	const char *wrong;

	instance->parts = g_ptr_array_new_with_free_func(g_free);
	if (!read_model(instance, model, error) || !read_assignment(instance, assignment, error))
		return NULL;
	wrong = rebalance_problem_check(&instance->problem);
	if (wrong) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s: the model %s", model->name, wrong);
		return NULL;
	}
	if (!rebalance_verify(&instance->problem, instance->problem.initial, &cost, &violation)) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s: out of memory", model->name);
		return NULL;
	}
	if (violation != REBALANCE_VALID) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID,
			    "%s: the assignment is not valid in %s to begin with (%s); give a valid one to start from",
			    assignment->name, model->name, rebalance_violation_names[violation]);
		return NULL;
	}
	return g_steal_pointer(&instance);
}

char *lab_text_load(const char *path, gsize bytes_max, gsize *length, GError **error)
{
	g_autoptr(GError) why = NULL;
	GStatBuf status;
	char *text = NULL;

	if (g_stat(path, &status) == 0 && (gsize)status.st_size > bytes_max) {
		g_set_error(error, LAB_ERROR, LAB_ERROR_INVALID, "%s has more than %" G_GSIZE_FORMAT " bytes", path,
			    bytes_max);
		return NULL;
	}
	if (!g_file_get_contents(path, &text, length, &why)) {
		lab_error_file(path, why, error);
		return NULL;
	}
	return text;
}

struct lab_reassignment *lab_reassignment_load(const char *model_path, const char *assignment_path, GError **error)
{
	struct lab_text model = { .name = model_path }, assignment = { .name = assignment_path };
	g_autofree char *model_text = lab_text_load(model_path, REASSIGNMENT_BYTES_MAX, &model.length, error);
	g_autofree char *assignment_text = NULL;

	if (!model_text)
		return NULL;
	assignment_text = lab_text_load(assignment_path, REASSIGNMENT_BYTES_MAX, &assignment.length, error);
	if (!assignment_text)
		return NULL;
	model.text = model_text;
	assignment.text = assignment_text;
	return lab_reassignment_parse(&model, &assignment, error);
}

void lab_reassignment_free(struct lab_reassignment *instance)
{
	if (!instance)
		return;
	g_ptr_array_unref(instance->parts);
	g_free(instance);
}
