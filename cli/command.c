#include "cli/command.h"

#include <assert.h>
#include <string.h>

#include "daemon/model/error.h"

struct value {
	const struct option *option;
	const char *text; /* NULL for a switch */
};

/* ---- the table ---- */

const struct command *command_find(const char *noun, const char *verb)
{
	for (const struct command *command = commands; command->verb; command++)
		if (g_strcmp0(command->noun, noun) == 0 && strcmp(command->verb, verb) == 0)
			return command;
	return NULL;
}

gboolean command_is_noun(const char *noun)
{
	for (const struct command *command = commands; command->verb; command++)
		if (g_strcmp0(command->noun, noun) == 0)
			return TRUE;
	return FALSE;
}

char *command_name(const struct command *command)
{
	return command->noun ? g_strdup_printf("%s %s", command->noun, command->verb) : g_strdup(command->verb);
}

/* ---- suggestions ---- */

/* Levenshtein distance, a swap of neighbours counting one. Words beyond 31 bytes are far from everything. */
static guint distance(const char *a, const char *b)
{
	gsize n = strlen(a), m = strlen(b);
	guint rows[32][32];

	if (n > 31 || m > 31)
		return G_MAXUINT;
	for (gsize i = 0; i <= n; i++) {
		for (gsize j = 0; j <= m; j++) {
			if (!i || !j) {
				rows[i][j] = (guint)(i + j);
				continue;
			}
			rows[i][j] = MIN(MIN(rows[i - 1][j], rows[i][j - 1]) + 1,
					 rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				rows[i][j] = MIN(rows[i][j], rows[i - 2][j - 2] + 1);
		}
	}
	return rows[n][m];
}

const char *nearest(const char *word, const char *const *candidates)
{
	const char *best = NULL;
	guint least = (guint)MAX(1, MIN(3, strlen(word) / 2)) + 1;

	for (; *candidates; candidates++) {
		guint d = distance(word, *candidates);

		if (d < least) {
			least = d;
			best = *candidates;
		}
	}
	return best;
}

static const char *nearest_command(const char *noun, const char *word)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (const struct command *command = commands; command->verb; command++) {
		if (noun && g_strcmp0(command->noun, noun) == 0)
			g_ptr_array_add(names, (gpointer)command->verb);
		else if (!noun)
			g_ptr_array_add(names, (gpointer)(command->noun ? command->noun : command->verb));
	}
	g_ptr_array_add(names, NULL);
	return nearest(word, (const char *const *)names->pdata);
}

static const char *nearest_option(const struct command *command, const char *word)
{
	const struct option *lists[] = { command ? command->options : NULL, global_options };
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
		for (const struct option *option = lists[i]; option && option->name; option++)
			g_ptr_array_add(names, (gpointer)option->name);
	g_ptr_array_add(names, NULL);
	return nearest(word, (const char *const *)names->pdata);
}

/* ---- wrong usage ---- */

int usage_error(GError **error, const struct invocation *invocation, const char *format, ...)
{
	g_autofree char *message = NULL;
	g_autofree char *name = invocation->command ? command_name(invocation->command) : NULL;
	const char *where = name ? name : invocation->noun;
	va_list args;

	va_start(args, format);
	message = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s; see 'polder%s%s --help'", message, where ? " " : "",
		    where ? where : "");
	return -1;
}

static gboolean wrong(GError **error, const struct invocation *invocation, const char *what, const char *word,
		      const char *meant)
{
	g_autofree char *hint = meant ? g_strdup_printf(" (did you mean '%s'?)", meant) : NULL;
	g_autofree char *valid = g_utf8_make_valid(word, -1);

	usage_error(error, invocation, "%s '%s'%s", what, valid, hint ? hint : "");
	return FALSE;
}

/* ---- parsing ---- */

static const struct option *option_by_name(const struct command *command, const char *name, gsize length)
{
	const struct option *lists[] = { command ? command->options : NULL, global_options };

	for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
		for (const struct option *option = lists[i]; option && option->name; option++)
			if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
				return option;
	return NULL;
}

static const struct option *option_by_letter(const struct command *command, char letter)
{
	const struct option *lists[] = { command ? command->options : NULL, global_options };

	for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
		for (const struct option *option = lists[i]; option && option->name; option++)
			if (option->letter == letter)
				return option;
	return NULL;
}

static gboolean check_choice(const struct invocation *invocation, const char *what, const char *const *choices,
			     const char *text, GError **error)
{
	g_autofree char *all = NULL;

	if (!choices || g_strv_contains(choices, text))
		return TRUE;
	all = g_strjoinv(", ", (char **)choices);
	usage_error(error, invocation, "%s must be one of %s, not '%s'", what, all, text);
	return FALSE;
}

static gboolean take(struct invocation *invocation, const struct option *option, const char *text, GError **error)
{
	struct value value = { option, text };
	g_autofree char *shown = g_strdup_printf("--%s", option->name);

	if (!check_choice(invocation, shown, option->choices, text ? text : "", error))
		return FALSE;
	for (guint i = 0; !option->repeat && option->value && i < invocation->values->len; i++) {
		if (g_array_index(invocation->values, struct value, i).option == option) {
			usage_error(error, invocation, "--%s is given twice", option->name);
			return FALSE;
		}
	}
	g_array_append_val(invocation->values, value);
	if (strcmp(option->name, "help") == 0)
		invocation->help = TRUE;
	if (strcmp(option->name, "version") == 0)
		invocation->version = TRUE;
	return TRUE;
}

/* "--name", "--name=VALUE", "--name VALUE": *argv is at it, and is left at the last word taken. */
static gboolean parse_long(struct invocation *invocation, char ***argv, GError **error)
{
	const char *word = **argv + 2;
	const char *equals = strchr(word, '=');
	gsize length = equals ? (gsize)(equals - word) : strlen(word);
	const struct option *option = option_by_name(invocation->command, word, length);

	if (!option) {
		g_autofree char *name = g_strndup(word, length);
		const char *meant = nearest_option(invocation->command, name);
		g_autofree char *meant_option = meant ? g_strdup_printf("--%s", meant) : NULL;

		return wrong(error, invocation, "unknown option", **argv, meant_option);
	}
	if (!option->value) {
		if (equals) {
			usage_error(error, invocation, "--%s takes no value", option->name);
			return FALSE;
		}
		return take(invocation, option, NULL, error);
	}
	if (equals)
		return take(invocation, option, equals + 1, error);
	if (!(*argv)[1]) {
		usage_error(error, invocation, "--%s needs a %s", option->name, option->value);
		return FALSE;
	}
	(*argv)++;
	return take(invocation, option, **argv, error);
}

/* "-d", "-it", "-p8080:80", "-p 8080:80". */
static gboolean parse_short(struct invocation *invocation, char ***argv, GError **error)
{
	for (const char *at = **argv + 1; *at; at++) {
		const struct option *option = option_by_letter(invocation->command, *at);

		if (!option)
			return wrong(error, invocation, "unknown option", **argv, NULL);
		if (!option->value) {
			if (!take(invocation, option, NULL, error))
				return FALSE;
			continue;
		}
		if (at[1])
			return take(invocation, option, at + 1, error);
		if (!(*argv)[1]) {
			usage_error(error, invocation, "-%c needs a %s", *at, option->value);
			return FALSE;
		}
		(*argv)++;
		return take(invocation, option, **argv, error);
	}
	return TRUE;
}

static gboolean parse_word(struct invocation *invocation, char *word, GError **error)
{
	if (invocation->command) {
		g_ptr_array_add(invocation->arguments, word);
		return TRUE;
	}
	if (!invocation->noun && command_is_noun(word)) {
		invocation->noun = word;
		return TRUE;
	}
	invocation->command = command_find(invocation->noun, word);
	if (invocation->command)
		return TRUE;
	return wrong(error, invocation, "unknown command", word, nearest_command(invocation->noun, word));
}

static gboolean check(const struct invocation *invocation, GError **error)
{
	const struct command *command = invocation->command;
	const struct argument *argument;
	guint count = invocation->arguments->len;

	if (!command) {
		if (invocation->noun)
			usage_error(error, invocation, "'polder %s' needs a verb", invocation->noun);
		else
			usage_error(error, invocation, "no command given");
		return FALSE;
	}
	argument = &command->argument;
	if (count < argument->min)
		usage_error(error, invocation, "%s is missing", argument->name);
	else if (count > argument->max && command->tail != TAIL_NONE && !invocation->tail)
		usage_error(error, invocation, "put -- before the command: '-- %s'",
			    (const char *)invocation->arguments->pdata[argument->max]);
	else if (count > argument->max)
		usage_error(error, invocation, "'%s' is one argument too many",
			    (const char *)invocation->arguments->pdata[argument->max]);
	else if (invocation->tail && command->tail == TAIL_NONE)
		usage_error(error, invocation, "'-- %s': this command takes no command to execute",
			    invocation->tail[0] ? invocation->tail[0] : "");
	else if (command->tail == TAIL_REQUIRED && !invocation->tail)
		usage_error(error, invocation, "the command to execute is missing: give it after --");
	else if (invocation->tail && !invocation->tail[0])
		usage_error(error, invocation, "a command must follow --");
	else {
		for (guint i = 0; i < count; i++)
			if (!check_choice(invocation, argument->name, argument->choices,
					  invocation->arguments->pdata[i], error))
				return FALSE;
		return TRUE;
	}
	return FALSE;
}

gboolean invocation_init(struct invocation *invocation, char **argv, GError **error)
{
	*invocation = (struct invocation) {
		.values = g_array_new(FALSE, FALSE, sizeof(struct value)),
		.arguments = g_ptr_array_new(),
	};
	for (char **at = argv[0] ? argv + 1 : argv; *at; at++) {
		gboolean ok;

		if (strcmp(*at, "--") == 0) {
			invocation->tail = at + 1;
			break;
		}
		/* The words of a command whose "--" was forgotten are not ours to judge. */
		if (invocation->command && invocation->command->tail != TAIL_NONE &&
		    invocation->arguments->len > invocation->command->argument.max)
			break;
		if (g_str_has_prefix(*at, "--"))
			ok = parse_long(invocation, &at, error);
		else if ((*at)[0] == '-' && (*at)[1])
			ok = parse_short(invocation, &at, error);
		else
			ok = parse_word(invocation, *at, error);
		if (!ok)
			return FALSE;
	}
	return invocation->help || invocation->version || check(invocation, error);
}

void invocation_clear(struct invocation *invocation)
{
	g_clear_pointer(&invocation->values, g_array_unref);
	g_clear_pointer(&invocation->arguments, g_ptr_array_unref);
}

/* ---- what was given ---- */

static const struct option *option_known(const struct invocation *invocation, const char *name)
{
	const struct option *option = option_by_name(invocation->command, name, strlen(name));

	assert(option);
	return option;
}

const char **invocation_options(const struct invocation *invocation, const char *name)
{
	const struct option *option = option_known(invocation, name);
	g_autoptr(GPtrArray) texts = g_ptr_array_new();

	for (guint i = 0; i < invocation->values->len; i++) {
		const struct value *value = &g_array_index(invocation->values, struct value, i);

		if (value->option == option && value->text)
			g_ptr_array_add(texts, (gpointer)value->text);
	}
	g_ptr_array_add(texts, NULL);
	return (const char **)g_ptr_array_steal(texts, NULL);
}

const char *invocation_option(const struct invocation *invocation, const char *name)
{
	g_autofree const char **texts = invocation_options(invocation, name);

	return texts[0];
}

gboolean invocation_number(const struct invocation *invocation, const char *name, const guint64 range[2],
			   guint64 *value, GError **error)
{
	const char *text = invocation_option(invocation, name);

	if (!text || g_ascii_string_to_unsigned(text, 10, range[0], range[1], value, NULL))
		return TRUE;
	usage_error(error, invocation,
		    "--%s can't be '%s': a whole number, %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, name, text,
		    range[0], range[1]);
	return FALSE;
}

gboolean invocation_flag(const struct invocation *invocation, const char *name)
{
	const struct option *option = option_known(invocation, name);

	for (guint i = 0; i < invocation->values->len; i++)
		if (g_array_index(invocation->values, struct value, i).option == option)
			return TRUE;
	return FALSE;
}

const char *invocation_argument(const struct invocation *invocation, guint n)
{
	return n < invocation->arguments->len ? invocation->arguments->pdata[n] : NULL;
}
