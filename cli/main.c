/* polder: parse, carry out, report. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/table.h"
#include "daemon/model/error.h"
#include "lab/error.h"

static void report(const GError *error)
{
	g_autofree char *line = text_printable(error->message);

	fprintf(stderr, "polder: %s\n", line);
}

static int exit_status(const GError *error)
{
	return error && error->domain == LAB_ERROR ? lab_error_exit_status(error) : polder_error_exit_status(error);
}

static int show_help(const struct invocation *invocation)
{
	g_autofree char *text = invocation->command ? help_command(invocation->command)
				: invocation->noun  ? help_noun(invocation->noun)
						    : help_overview();

	fputs(text, stdout);
	return 0;
}

static int carry_out(struct invocation *invocation, GError **error)
{
	if (invocation->help)
		return show_help(invocation);
	if (invocation->version) {
		puts("polder " POLDER_VERSION);
		return 0;
	}
	return invocation->command->carry_out(invocation, error);
}

int main(int argc, char **argv)
{
	struct invocation invocation;
	GError *error = NULL;
	int status = -1;

	setlocale(LC_CTYPE, "");
	/* No network, proxy or settings module of GIO's is ever used: loading them would take longer than `polder ps`. */
	g_setenv("GIO_USE_VFS", "local", FALSE);
	if (argc < 2) {
		g_autofree char *text = help_overview();

		fputs(text, stderr);
		return polder_error_info(POLDER_ERROR_INVALID)->exit_status;
	}
	if (invocation_init(&invocation, argv, &error))
		status = carry_out(&invocation, &error);
	if (status < 0)
		status = exit_status(error);
	if (error)
		report(error);
	g_clear_error(&error);
	invocation_clear(&invocation);
	if (fflush(stdout) != 0 && status == 0) {
		fprintf(stderr, "polder: can't write the output: its reader is gone or its disk is full\n");
		status = 1;
	}
	return status;
}
