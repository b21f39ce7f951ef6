#include "lab/scheduling/gantt.h"

#include "core/scheduling/scheduling.h"
#include "lab/svg.h"

/* In pixels. */
#define LEFT           70
#define TOP            48
#define ROW            22
#define BAR            16
#define WIDTH          1080
#define RIGHT          36
#define LEGEND_TOP     24 /* below the last row */
#define LEGEND_COLUMNS (WIDTH / SVG_LEGEND_COLUMN)
#define LEGEND_NAME    22 /* characters */
#define BOTTOM         12

#define ROWS_MAX   256
#define BARS_MAX   200000
#define LEGEND_MAX 48

struct gantt {
	const struct workload *workload;
	char *title;
	gint64 from_ns, until_ns;
	guint rows;
	guint *running;   /* by CPU: 1 + task, 0: none */
	gint64 *since_ns; /* by CPU */
	gboolean *ran;    /* by VM */
	guint bars;
	GString *body;
};

struct gantt *gantt_new(const struct workload *workload, const char *title, gint64 from_ns, gint64 until_ns)
{
	struct gantt *gantt = g_new0(struct gantt, 1);

	gantt->workload = workload;
	gantt->title = g_strdup(title);
	gantt->from_ns = from_ns;
	gantt->until_ns = until_ns;
	gantt->rows = MIN(workload->topology.n_cpus, ROWS_MAX);
	gantt->running = g_new0(guint, gantt->rows);
	gantt->since_ns = g_new0(gint64, gantt->rows);
	gantt->ran = g_new0(gboolean, workload->vms->len);
	gantt->body = g_string_new(NULL);
	return gantt;
}

void gantt_free(struct gantt *gantt)
{
	if (!gantt)
		return;
	g_free(gantt->title);
	g_free(gantt->running);
	g_free(gantt->since_ns);
	g_free(gantt->ran);
	g_string_free(gantt->body, TRUE);
	g_free(gantt);
}

static double across(const struct gantt *gantt, gint64 at_ns)
{
	return LEFT + (double)(at_ns - gantt->from_ns) / (double)(gantt->until_ns - gantt->from_ns) * WIDTH;
}

static void bar(struct gantt *gantt, guint cpu, gint64 until_ns)
{
	gint64 from = MAX(gantt->since_ns[cpu], gantt->from_ns), to = MIN(until_ns, gantt->until_ns);
	char x[G_ASCII_DTOSTR_BUF_SIZE], width[G_ASCII_DTOSTR_BUF_SIZE], colour[SVG_COLOUR_MAX];
	g_autofree char *valid = NULL, *name = NULL;
	const struct workload_vm *vm;
	guint task, index;

	if (!gantt->running[cpu] || from >= to || gantt->bars++ >= BARS_MAX)
		return;
	task = gantt->running[cpu] - 1;
	index = workload_task(gantt->workload, task)->vm;
	vm = workload_vm(gantt->workload, index);
	gantt->ran[index] = TRUE;
	valid = g_utf8_make_valid(vm->name, -1);
	name = g_markup_escape_text(valid, -1);
	g_string_append_printf(gantt->body,
			       "<rect x=\"%s\" y=\"%u\" width=\"%s\" height=\"%d\" fill=\"%s\"><title>%s, vCPU "
			       "%u: %" G_GINT64_FORMAT "–%" G_GINT64_FORMAT " µs</title></rect>\n",
			       svg_number(across(gantt, from), x), TOP + cpu * ROW,
			       svg_number(across(gantt, to) - across(gantt, from), width), BAR,
			       svg_colour(index, colour), name, task - vm->first_task, gantt->since_ns[cpu] / 1000,
			       until_ns / 1000);
}

void gantt_observe(gpointer data, gint64 now_ns, guint cpu, guint task)
{
	struct gantt *gantt = data;

	if (cpu >= gantt->rows)
		return;
	bar(gantt, cpu, now_ns);
	gantt->running[cpu] = task == SCHEDULING_NO_CPU ? 0 : task + 1;
	gantt->since_ns[cpu] = now_ns;
}

static void append_axes(const struct gantt *gantt, GString *svg)
{
	double bottom = TOP + (double)gantt->rows * ROW;
	char number[G_ASCII_DTOSTR_BUF_SIZE];

	for (guint i = 0; i <= 10; i++) {
		gint64 ns = gantt->from_ns + (gantt->until_ns - gantt->from_ns) / 10 * i;
		double x = across(gantt, ns);
		g_autofree char *at =
			g_strconcat(g_ascii_formatd(number, sizeof(number), "%.6g", (double)ns / 1e6), " ms", NULL);

		svg_line(svg, "g", (double[]) { x, TOP - 4, x, bottom });
		svg_text(svg, " class=\"s\" text-anchor=\"middle\"", x, TOP - 8, at);
	}
	for (guint i = 0; i < gantt->rows; i++) {
		g_autofree char *name = g_strdup_printf("CPU %u", i);

		svg_text(svg, " text-anchor=\"end\"", LEFT - 8, TOP + (double)i * ROW + 12, name);
	}
}

/* Who is which colour: the first of those that ran, and what else a reader must know. */
static void append_legend(const struct gantt *gantt, GString *svg, guint n)
{
	char x[G_ASCII_DTOSTR_BUF_SIZE], y[G_ASCII_DTOSTR_BUF_SIZE], colour[SVG_COLOUR_MAX];
	guint at = 0;

	for (guint i = 0; i < gantt->workload->vms->len && at < MIN(n, LEGEND_MAX); i++) {
		double place[] = { LEFT, TOP + (double)gantt->rows * ROW + LEGEND_TOP };
		g_autofree char *name = g_utf8_make_valid(workload_vm(gantt->workload, i)->name, -1);
		gboolean cut = g_utf8_strlen(name, -1) > LEGEND_NAME;
		g_autofree char *start = g_utf8_substring(name, 0, cut ? LEGEND_NAME - 1 : g_utf8_strlen(name, -1));
		g_autofree char *shown = g_strconcat(start, cut ? "…" : "", NULL);

		if (!gantt->ran[i])
			continue;
		svg_legend_place(at++, LEGEND_COLUMNS, place);
		g_string_append_printf(svg, "<rect x=\"%s\" y=\"%s\" width=\"12\" height=\"12\" fill=\"%s\"/>\n",
				       svg_number(place[0], x), svg_number(place[1] - 10, y), svg_colour(i, colour));
		svg_text(svg, "", place[0] + 18, place[1], shown);
	}
}

static char *remarks(const struct gantt *gantt, guint n)
{
	g_autoptr(GString) text = g_string_new("Blank: idle. Point at a bar for its vCPU and times.");

	if (n > LEGEND_MAX)
		g_string_append_printf(text, " %u more VMs ran.", n - LEGEND_MAX);
	if (gantt->rows < gantt->workload->topology.n_cpus)
		g_string_append_printf(text, " The first %u of %u CPUs.", gantt->rows,
				       gantt->workload->topology.n_cpus);
	if (gantt->bars > BARS_MAX)
		g_string_append_printf(text, " Only the first %d bars are drawn.", BARS_MAX);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *gantt_svg(struct gantt *gantt)
{
	guint n = 0, legend_rows;
	g_autofree char *said = NULL;
	GString *svg;

	for (guint i = 0; i < gantt->rows; i++) {
		bar(gantt, i, gantt->until_ns);
		gantt->running[i] = 0;
	}
	for (guint i = 0; i < gantt->workload->vms->len; i++)
		n += gantt->ran[i] ? 1 : 0;
	legend_rows = (MIN(n, LEGEND_MAX) + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS;
	said = remarks(gantt, n);
	guint below = TOP + gantt->rows * ROW + LEGEND_TOP + legend_rows * SVG_LEGEND_ROW;
	svg = svg_new(LEFT + WIDTH + RIGHT, below + BOTTOM);
	svg_text(svg, " class=\"h\"", LEFT, 20, gantt->title);
	append_axes(gantt, svg);
	g_string_append(svg, gantt->body->str);
	append_legend(gantt, svg, n);
	svg_text(svg, " class=\"s\"", LEFT, below, said);
	return svg_steal(svg);
}
