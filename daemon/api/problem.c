#include "daemon/api/server.h"

#include <string.h>

void request_problem(struct request *request, guint status, const char *title, enum polder_error code,
		     const char *detail)
{
	GString *text = g_string_new("{\"type\":\"about:blank\",\"title\":");

	record_append_string(text, title);
	g_string_append_printf(text, ",\"status\":%u,\"code\":", status);
	record_append_string(text, polder_error_info((int)code)->name);
	g_string_append(text, ",\"detail\":");
	record_append_string(text, detail);
	g_string_append(text, "}\n");
	request_text(request, status, "application/problem+json", text);
}

void request_fail(struct request *request, const GError *error)
{
	enum polder_error code = POLDER_ERROR_FAILED;
	const struct polder_error_info *info;
	g_autofree char *detail = NULL;

	if (error->domain == POLDER_ERROR)
		code = (enum polder_error)error->code;
	info = polder_error_info((int)code);
	if (code == POLDER_ERROR_STORAGE_FULL)
		detail = g_strdup_printf("%s; make room there and try again: nothing was changed", error->message);
	request_problem(request, (guint)info->http_status, info->title, code, detail ? detail : error->message);
}

void request_fail_new(struct request *request, enum polder_error code, const char *format, ...)
{
	g_autoptr(GError) error = NULL;
	va_list arguments;

	va_start(arguments, format);
	error = g_error_new_valist(POLDER_ERROR, (int)code, format, arguments);
	va_end(arguments);
	request_fail(request, error);
}
