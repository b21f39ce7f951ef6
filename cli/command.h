/* The command table and how an invocation is parsed by it. */
#pragma once

#include <glib.h>

struct invocation;

/* What a value is: for completion. */
enum value_kind {
	VALUE_TEXT,
	VALUE_VM,
	VALUE_IMAGE,
	VALUE_HOST,
	VALUE_FILE,
	VALUE_DIRECTORY,
	VALUE_CHOICE, /* one of `choices`; checked when parsed */
	VALUE_COMMAND,
};

struct option {
	const char *name;  /* "memory" for --memory; NULL ends a list */
	char letter;       /* 'p' for -p, or 0 */
	const char *value; /* what the value is called, "SIZE"; NULL: a switch */
	enum value_kind kind;
	const char *const *choices;
	gboolean repeat; /* may be given several times; otherwise twice is wrong usage */
	const char *doc; /* one sentence */
};

struct argument {
	const char *name; /* "NAME"; NULL: none */
	enum value_kind kind;
	const char *const *choices;
	guint min, max; /* how many */
	const char *doc;
};

enum tail { TAIL_NONE, TAIL_OPTIONAL, TAIL_REQUIRED }; /* "-- COMMAND…" */

struct command {
	const char *noun; /* "host" of `polder host show`, NULL for plain verbs */
	const char *verb;
	const char *group;            /* heading in `polder --help` */
	const char *doc;              /* one line */
	const char *help;             /* paragraphs, separated by an empty line; wrapped when shown */
	const char *examples;         /* lines, or NULL */
	const char *statuses;         /* "STATUS meaning" lines beyond the common ones, or NULL */
	const struct option *options; /* NULL or ended by name NULL */
	struct argument argument;
	enum tail tail;
	/* Carries it out and returns the exit status. With `error` set it is reported and, when -1 is returned, gives the
	 * exit status by error.h's table. */
	int (*carry_out)(struct invocation *invocation, GError **error);
};

/* The table, ended by verb NULL; the options every command takes. */
extern const struct command commands[];
extern const struct option global_options[];

struct invocation {
	const struct command *command; /* NULL: none was named (then help or version was asked for) */
	const char *noun;              /* a noun without its verb, for help */
	gboolean help, version;
	GArray *values;       /* private: options given */
	GPtrArray *arguments; /* char *, borrowed from argv */
	char **tail;          /* what follows "--", borrowed from argv; NULL without "--" */
};

/* invocation_init(invocation, argv, error): parse argv (argv[0] is skipped). Wrong usage: POLDER_ERROR_INVALID with the
 * next step. Always to be cleared. */
gboolean invocation_init(struct invocation *invocation, char **argv, GError **error);
void invocation_clear(struct invocation *invocation);

/* The value of --name, NULL when not given. Asking for an option the command does not have is a bug. */
const char *invocation_option(const struct invocation *invocation, const char *name);
gboolean invocation_flag(const struct invocation *invocation, const char *name);

/* invocation_number(invocation, name, range, value, error): --name as a whole number from range[0] to range[1]; `value` stays
 * when it is not given. */
gboolean invocation_number(const struct invocation *invocation, const char *name, const guint64 range[2],
			   guint64 *value, GError **error);

/* Every value of a repeated option; NULL-terminated, empty when none. Caller frees the array, not the strings. */
const char **invocation_options(const struct invocation *invocation, const char *name);

/* The n-th argument, NULL when there are fewer. */
const char *invocation_argument(const struct invocation *invocation, guint n);

/* usage_error(error, invocation, format, …): POLDER_ERROR_INVALID that ends with where help is. Returns -1. */
int usage_error(GError **error, const struct invocation *invocation, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* command_find(noun, verb): the row, or NULL. command_is_noun: some row has this noun. */
const struct command *command_find(const char *noun, const char *verb);
gboolean command_is_noun(const char *noun);

/* "host show", "run". Caller frees. */
char *command_name(const struct command *command);

/* nearest(word, candidates): the candidate a person most likely meant, or NULL when none is near. */
const char *nearest(const char *word, const char *const *candidates);

/* ---- generated from the table ---- */

/* All return text the caller frees. */
char *help_overview(void);
char *help_noun(const char *noun);
char *help_command(const struct command *command);
char *completion_script(const char *shell);            /* "bash", "zsh" or "fish" */
char *man_page(const struct command *command);         /* roff; NULL: all of them in one page */
char *command_synopsis(const struct command *command); /* "polder run [OPTION]… IMAGE [-- COMMAND…]" */
