#include "daemon/engine/qemu/fate.h"

#include <signal.h>
#include <string.h>

/* QEMU's own name in front of its messages helps nobody. */
static const char *message(const struct exit_record *record)
{
	const char *text = record->last;
	const char *colon = strstr(text, ": ");

	if (g_str_has_prefix(text, "qemu") && colon && !memchr(text, ' ', (gsize)(colon - text)))
		text = colon + 2;
	return text;
}

static gboolean said_why(const struct exit_record *record)
{
	return *record->last && !strstr(record->last, "warning: ");
}

static char *by_signal(guint signal)
{
	const char *next = signal == SIGKILL  ? ": the host may be out of memory, see its kernel log"
			   : signal == SIGSYS ? ": it tried what its sandbox forbids"
					      : "";

	return g_strdup_printf("QEMU was ended by signal %u (%s)%s", signal, g_strsignal((int)signal), next);
}

static char *no_record(const struct fate *fate, enum engine_exit_cause *cause)
{
	*cause = ENGINE_EXIT_LOST;
	if (fate->killed) {
		*cause = ENGINE_EXIT_STOPPED;
		return g_strdup("killed, as asked");
	}
	if (fate->rebooted)
		return g_strdup("the host was restarted");
	if (fate->cut_short) {
		*cause = ENGINE_EXIT_CUT_SHORT;
		return g_strdup("its start was cut short: Polder's agent ended before QEMU was run");
	}
	return g_strdup("its supervisor polder-vm was killed, and QEMU with it");
}

/* The one refusal that users meet often, in their own words. */
static char *refused(const char *why)
{
	static const char rule[] = "Could not set up host forwarding rule '";
	const char *at = strstr(why, rule);
	g_auto(GStrv) part = at ? g_strsplit(at + strlen(rule), ":", 4) : NULL;

	if (!part || g_strv_length(part) < 3)
		return g_strdup_printf("QEMU refused to start: %s", why);
	g_autofree char *port = g_strndup(part[2], strspn(part[2], "0123456789"));
	return g_strdup_printf(
		"%s port %s of %s can't be published: it is taken, or not yours to take; publish another", part[0],
		port, part[1]);
}

static char *start_failed(const struct fate *fate)
{
	if (fate->problem)
		return g_strdup_printf("the start failed: %s", fate->problem);
	if (said_why(fate->record))
		return refused(message(fate->record));
	if (fate->record->signalled)
		return by_signal(fate->record->status - 128);
	return g_strdup_printf("QEMU ended during its start with status %u", fate->record->status);
}

char *fate_decide(const struct fate *fate, enum engine_exit_cause *cause)
{
	const struct exit_record *record = fate->record;

	if (!fate->started && fate->problem) {
		*cause = ENGINE_EXIT_START_FAILED;
		return start_failed(fate);
	}
	if (!record)
		return no_record(fate, cause);
	if (fate->killed && record->signalled) {
		*cause = ENGINE_EXIT_STOPPED;
		return g_strdup("killed, as asked");
	}
	if (!fate->started) {
		*cause = ENGINE_EXIT_START_FAILED;
		return start_failed(fate);
	}
	if (fate->boot_loop) {
		*cause = ENGINE_EXIT_PANIC;
		return g_strdup(
			"the guest started over again and again without getting ready: its console log says more");
	}
	*cause = ENGINE_EXIT_CRASH;
	if (record->signalled)
		return by_signal(record->status - 128);
	/* Status 1 without a word is what -action panic=exit-failure leaves; QEMU's own failures say why. */
	if (fate->panicked || (record->status == 1 && !said_why(record))) {
		*cause = ENGINE_EXIT_PANIC;
		return g_strdup("the guest crashed (panic): its console log says more");
	}
	if (record->status != 0)
		return g_strdup_printf("QEMU failed with status %u%s%s", record->status, *record->last ? ": " : "",
				       message(record));
	if (strstr(record->last, "terminating on signal"))
		return g_strdup_printf("QEMU was ended from outside Polder: %s", message(record));
	*cause = fate->asked ? ENGINE_EXIT_STOPPED : ENGINE_EXIT_SHUTDOWN;
	return g_strdup(fate->asked ? "stopped, as asked" : "the guest powered itself off");
}
