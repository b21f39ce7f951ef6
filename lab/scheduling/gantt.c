#include "lab/scheduling/gantt.h"

#include "core/scheduling/scheduling.h"

/* In pixels. */
#define LEFT     70
#define TOP      48
#define ROW      22
#define BAR      16
#define WIDTH    900
#define RIGHT    20
#define LEGEND   16
#define ROWS_MAX 256
#define BARS_MAX 200000
#define HUES     12

struct gantt {
	const struct workload *workload;
	char *title;
	gint64 from_ns, until_ns;
	guint rows;
	guint *running;   /* by CPU: 1 + task, 0: none */
	gint64 *since_ns; /* by CPU */
	guint bars;
	GString *body;
};

static const char style[] = "<style>text{font:12px system-ui,sans-serif;fill:#333}.h{font-weight:600;font-size:14px}"
			    ".s{fill:#777;font-size:11px}.g{stroke:#999;stroke-opacity:.35;fill:none}"
			    "@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#aaa}}</style>\n";

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
	g_string_free(gantt->body, TRUE);
	g_free(gantt);
}

static double across(const struct gantt *gantt, gint64 at_ns)
{
	return LEFT + (double)(at_ns - gantt->from_ns) / (double)(gantt->until_ns - gantt->from_ns) * WIDTH;
}

static const char *pixel(double value, char text[G_ASCII_DTOSTR_BUF_SIZE])
{
	return g_ascii_formatd(text, G_ASCII_DTOSTR_BUF_SIZE, "%.2f", value);
}

static const char *vm_name(const struct gantt *gantt, guint task)
{
	return workload_vm(gantt->workload, workload_task(gantt->workload, task)->vm)->name;
}

static void bar(struct gantt *gantt, guint cpu, gint64 until_ns)
{
	gint64 from = MAX(gantt->since_ns[cpu], gantt->from_ns), to = MIN(until_ns, gantt->until_ns);
	char x[G_ASCII_DTOSTR_BUF_SIZE], width[G_ASCII_DTOSTR_BUF_SIZE];
	g_autofree char *name = NULL;
	guint task, vm;

	if (!gantt->running[cpu] || from >= to || gantt->bars++ >= BARS_MAX)
		return;
	task = gantt->running[cpu] - 1;
	vm = workload_task(gantt->workload, task)->vm;
	name = g_markup_escape_text(vm_name(gantt, task), -1);
	g_string_append_printf(
		gantt->body,
		"<rect x=\"%s\" y=\"%u\" width=\"%s\" height=\"%d\" fill=\"hsl(%u,60%%,%u%%)\"><title>%s, vCPU "
		"%u: %" G_GINT64_FORMAT "–%" G_GINT64_FORMAT " µs</title></rect>\n",
		pixel(across(gantt, from), x), TOP + cpu * ROW, pixel(across(gantt, to) - across(gantt, from), width),
		BAR, vm % HUES * 360 / HUES, 55 - vm / HUES % 3 * 10, name,
		task - workload_vm(gantt->workload, vm)->first_task, gantt->since_ns[cpu] / 1000, until_ns / 1000);
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

static void append_axes(struct gantt *gantt, GString *svg)
{
	char x[G_ASCII_DTOSTR_BUF_SIZE], at[G_ASCII_DTOSTR_BUF_SIZE];

	for (guint i = 0; i <= 10; i++) {
		gint64 ns = gantt->from_ns + (gantt->until_ns - gantt->from_ns) / 10 * i;

		pixel(across(gantt, ns), x);
		g_string_append_printf(svg, "<line class=\"g\" x1=\"%s\" y1=\"%d\" x2=\"%s\" y2=\"%u\"/>\n", x, TOP - 4,
				       x, TOP + gantt->rows * ROW);
		g_string_append_printf(svg, "<text class=\"s\" x=\"%s\" y=\"%d\" text-anchor=\"middle\">%s ms</text>\n",
				       x, TOP - 8, g_ascii_formatd(at, sizeof(at), "%.6g", (double)ns / 1e6));
	}
	for (guint i = 0; i < gantt->rows; i++)
		g_string_append_printf(svg, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">CPU %u</text>\n", LEFT - 8,
				       TOP + i * ROW + 12, i);
}

char *gantt_svg(struct gantt *gantt)
{
	GString *svg = g_string_new(NULL);
	g_autofree char *title = g_markup_escape_text(gantt->title, -1);
	guint height = TOP + gantt->rows * ROW + LEGEND;

	for (guint i = 0; i < gantt->rows; i++) {
		bar(gantt, i, gantt->until_ns);
		gantt->running[i] = 0;
	}
	g_string_append_printf(
		svg,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" viewBox=\"0 0 %d %u\" "
		"role=\"img\">\n%s<text class=\"h\" x=\"%d\" y=\"20\">%s</text>\n",
		LEFT + WIDTH + RIGHT, height, LEFT + WIDTH + RIGHT, height, style, LEFT, title);
	append_axes(gantt, svg);
	g_string_append(svg, gantt->body->str);
	g_string_append(svg, "</svg>\n");
	return g_string_free(svg, FALSE);
}
