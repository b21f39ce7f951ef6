/* polder strategy ls, show: what there is to choose from. */
#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workload.h"
#include "lab/docs.h"
#include "lab/report.h"

#define WRAP 96

static const char *const *traits_of(const struct lab_family *family, const struct strategy_info *info)
{
	static const char *const none[] = { NULL };

	return family->traits ? family->traits(info) : none;
}

static void write_traits(struct lab_json *json, const struct lab_family *family, const struct strategy_info *info)
{
	const char *const *traits = traits_of(family, info);

	lab_json_open(json, "traits", '[');
	for (guint i = 0; traits[i]; i++)
		lab_json_string(json, NULL, traits[i]);
	lab_json_close(json, ']');
}

/* ---- ls ---- */

static void ls_json(const struct lab_family *only)
{
	g_autofree char *text = NULL;
	struct lab_json json;

	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_json_open(&json, "strategies", '[');
	for (guint f = 0; families[f]; f++) {
		const struct strategy_registry *registry = families[f]->registry;

		for (size_t i = 0; (!only || only == families[f]) && i < registry->n_entries; i++) {
			const struct strategy_info *info = registry->entries[i];

			lab_json_open(&json, NULL, '{');
			lab_json_string(&json, "family", families[f]->name);
			lab_json_string(&json, "name", info->name);
			lab_json_string(&json, "kind", strategy_kind_names[info->kind]);
			lab_json_string(&json, "index", strategy_index_names[info->index]);
			lab_json_boolean(&json, "live", families[f]->can_apply(info));
			write_traits(&json, families[f], info);
			lab_json_integer(&json, "parameters", info->n_parameters);
			lab_json_string(&json, "summary", info->summary);
			lab_json_close(&json, '}');
		}
	}
	lab_json_close(&json, ']');
	lab_json_close(&json, '}');
	text = lab_json_steal(&json);
	fputs(text, stdout);
}

static void ls_text(const struct lab_family *only, gboolean names_only)
{
	struct table *table = table_new(
		(const char *const[]) { "STRATEGY", "FAMILY", "KIND", "LIVE", "PARAMETERS", "WHAT IT DOES", NULL });
	g_autofree char *text = NULL;
	guint rows, columns;

	for (guint f = 0; families[f]; f++) {
		const struct strategy_registry *registry = families[f]->registry;

		for (size_t i = 0; (!only || only == families[f]) && i < registry->n_entries; i++) {
			const struct strategy_info *info = registry->entries[i];
			g_autofree char *count = g_strdup_printf("%zu", info->n_parameters);

			if (names_only)
				puts(info->name);
			table_add(table, (const char *const[]) {
						 info->name, families[f]->name, strategy_kind_names[info->kind],
						 families[f]->can_apply(info) ? "yes" : "no", count, info->summary });
		}
	}
	if (!names_only) {
		text = table_render(table, terminal_size(fileno(stdout), &rows, &columns) ? columns : 0);
		fputs(text, stdout);
	}
	table_free(table);
}

int verb_strategy_ls(struct invocation *invocation, GError **error)
{
	const char *name = invocation_argument(invocation, 0);
	const struct lab_family *only = name ? family_find(name, error) : NULL;

	if (name && !only)
		return -1;
	if (invocation_flag(invocation, "json"))
		ls_json(only);
	else
		ls_text(only, invocation_flag(invocation, "quiet"));
	return 0;
}

/* ---- show ---- */

static const char *const type_names[] = { "number", "integer", "choice" };

static void write_default(struct lab_json *json, const struct strategy_parameter *parameter)
{
	if (parameter->type == STRATEGY_CHOICE)
		lab_json_string(json, "default", parameter->choices[(size_t)parameter->initial]);
	else
		lab_json_number(json, "default", parameter->initial);
}

static void write_parameter(struct lab_json *json, const struct strategy_parameter *parameter)
{
	g_autofree char *range = lab_parameter_range(parameter);

	lab_json_open(json, NULL, '{');
	lab_json_string(json, "name", parameter->name);
	lab_json_string(json, "type", type_names[parameter->type]);
	write_default(json, parameter);
	if (parameter->type == STRATEGY_CHOICE) {
		lab_json_open(json, "choices", '[');
		for (size_t i = 0; parameter->choices[i]; i++)
			lab_json_string(json, NULL, parameter->choices[i]);
		lab_json_close(json, ']');
	} else {
		lab_json_number(json, "min", parameter->min);
		lab_json_number(json, "max", parameter->max);
		lab_json_boolean(json, "logarithmic", parameter->logarithmic);
	}
	lab_json_string(json, "range", range);
	lab_json_string(json, "doc", parameter->doc);
	lab_json_close(json, '}');
}

static void show_json(const struct lab_family *family, const struct strategy_info *info)
{
	const struct lab_strategy_doc *doc = lab_strategy_doc_find(family->name, info->name);
	g_autofree char *text = NULL;
	struct lab_json json;

	lab_json_init(&json);
	lab_json_open(&json, NULL, '{');
	lab_json_string(&json, "family", family->name);
	lab_json_string(&json, "name", info->name);
	lab_json_string(&json, "summary", info->summary);
	lab_json_string(&json, "kind", strategy_kind_names[info->kind]);
	lab_json_string(&json, "index", strategy_index_names[info->index]);
	lab_json_boolean(&json, "live", family->can_apply(info));
	write_traits(&json, family, info);
	lab_json_open(&json, "parameters", '[');
	for (size_t i = 0; i < info->n_parameters; i++)
		write_parameter(&json, &info->parameters[i]);
	lab_json_close(&json, ']');
	lab_json_open(&json, "about", '[');
	for (const struct lab_doc_section *section = doc ? doc->section : NULL; section && section->heading;
	     section++) {
		lab_json_open(&json, NULL, '{');
		lab_json_string(&json, "heading", section->heading);
		lab_json_string(&json, "text", section->text);
		lab_json_close(&json, '}');
	}
	lab_json_close(&json, ']');
	lab_json_close(&json, '}');
	text = lab_json_steal(&json);
	fputs(text, stdout);
}

/* Words of `text` in lines of at most WRAP columns, indented. */
static void print_wrapped(const char *text, const char *indent)
{
	g_auto(GStrv) words = g_strsplit_set(text, " \n", -1);
	glong column = 0;

	for (guint i = 0; words[i]; i++) {
		glong width = g_utf8_strlen(words[i], -1);

		if (!width) /* of an empty line: the end of a paragraph */
			continue;
		if (column && column + 1 + width > WRAP) {
			puts("");
			column = 0;
		}
		printf("%s%s", column ? " " : indent, words[i]);
		column += column ? 1 + width : (glong)strlen(indent) + width;
	}
	puts("");
}

static void show_text(const struct lab_family *family, const struct strategy_info *info)
{
	const struct lab_strategy_doc *doc = lab_strategy_doc_find(family->name, info->name);
	const char *const *traits = traits_of(family, info);

	printf("%s: %s\n\n%s strategy, %s, index %s", info->name, info->summary, family->name,
	       strategy_kind_names[info->kind], strategy_index_names[info->index]);
	for (guint i = 0; traits[i]; i++)
		printf(", %s", traits[i]);
	puts(family->can_apply(info) ? "" : "; can't run live");
	for (const struct lab_doc_section *section = doc ? doc->section : NULL; section && section->heading;
	     section++) {
		g_auto(GStrv) paragraphs = g_strsplit(section->text, "\n\n", -1);

		printf("\n%s\n", section->heading);
		for (guint i = 0; paragraphs[i]; i++)
			print_wrapped(paragraphs[i], "  ");
	}
	printf("\nParameters\n");
	for (size_t i = 0; i < info->n_parameters; i++) {
		const struct strategy_parameter *parameter = &info->parameters[i];
		g_autofree char *range = lab_parameter_range(parameter);
		g_autofree char *number = lab_number(parameter->initial, 17);

		printf("  %s: %s (default %s)\n", parameter->name, range,
		       parameter->type == STRATEGY_CHOICE ? parameter->choices[(size_t)parameter->initial] : number);
		print_wrapped(parameter->doc, "    ");
	}
	if (!info->n_parameters)
		puts("  none");
}

int verb_strategy_show(struct invocation *invocation, GError **error)
{
	const char *name = invocation_argument(invocation, 0);
	g_autoptr(GError) first = NULL;

	for (guint f = 0; families[f]; f++) {
		const struct strategy_info *info =
			lab_strategy_find(families[f]->registry, name, first ? NULL : &first);

		if (!info)
			continue;
		if (invocation_flag(invocation, "json"))
			show_json(families[f], info);
		else
			show_text(families[f], info);
		return 0;
	}
	g_propagate_error(error, g_steal_pointer(&first));
	return -1;
}
