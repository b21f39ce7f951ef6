#include "daemon/engine/qemu/guest.h"

#include "daemon/engine/qemu/guest_private.h"
#include "daemon/engine/qemu/qga_line.h"
#include "daemon/engine/qemu/run_socket.h"

#define LINK_RETRY_MS    1000u
#define QUICK_REFRESH_MS 500u
#define QUICK_REFRESHES  6u
#define STREAM_GRACE_US  (2 * G_USEC_PER_SEC)

static void connect_stream(struct guest *guest);
static void refresh_later(struct guest *guest);

/* ---- the stream port ---- */

static gboolean on_link_retry(gpointer user_data)
{
	struct guest *guest = user_data;
	guest->link_retry = 0;
	connect_stream(guest);
	return G_SOURCE_REMOVE;
}

static void connect_stream(struct guest *guest)
{
	if (!guest->open || mux_is_attached(guest->mux))
		return;
	int fd = run_socket_connect(guest->run_dir, "stream.sock", NULL);
	if (fd >= 0)
		mux_attach(guest->mux, fd);
	else if (!guest->link_retry)
		guest->link_retry = g_timeout_add(LINK_RETRY_MS, on_link_retry, guest);
}

static void on_mux_answered(gpointer user_data)
{
	guest_exec_pending(user_data);
}

static void on_mux_lost(const char *reason, gpointer user_data)
{
	struct guest *guest = user_data;
	if (guest->open && !guest->link_retry)
		guest->link_retry = g_timeout_add(LINK_RETRY_MS, on_link_retry, guest);
}

/* ---- addresses ---- */

static gboolean same_addresses(char **a, char **b)
{
	return a && b && g_strv_equal((const char *const *)a, (const char *const *)b);
}

static void on_interfaces(JsonNode *result, const GError *error, gpointer user_data)
{
	struct guest *guest = user_data;
	guest->refreshing = 0;
	refresh_later(guest);
	if (!result) /* an agent that can't tell (or was not there): what was known stays */
		return;
	g_auto(GStrv) addresses = qga_addresses_parse(result);
	if (same_addresses(addresses, guest->addresses))
		return;
	g_strfreev(guest->addresses);
	guest->addresses = g_steal_pointer(&addresses);
	g_auto(GStrv) told = g_strdupv(guest->addresses); /* the callee may free the guest */
	guest->events->addresses((const char *const *)told, guest->user_data);
}

static gboolean on_refresh(gpointer user_data)
{
	struct guest *guest = user_data;
	guest->refresh = 0;
	if (qga_is_ready(guest->qga) && !guest->refreshing)
		guest->refreshing = qga_command(guest->qga, "guest-network-get-interfaces", NULL, on_interfaces, guest);
	return G_SOURCE_REMOVE;
}

static void refresh_later(struct guest *guest)
{
	g_clear_handle_id(&guest->refresh, g_source_remove);
	if (!qga_is_ready(guest->qga))
		return;
	gboolean quick = guest->quick_refreshes > 0 && !(guest->addresses && guest->addresses[0]);
	guest->quick_refreshes -= quick;
	guest->refresh = g_timeout_add(quick ? guest->quick_refresh_ms : GUEST_REFRESH_MS, on_refresh, guest);
}

/* ---- ready ---- */

static void on_qga_ready(gboolean ready, gpointer user_data)
{
	struct guest *guest = user_data;
	if (ready) {
		guest->ready_at = g_get_monotonic_time();
		guest->quick_refreshes = QUICK_REFRESHES;
		on_refresh(guest);
	} else {
		g_clear_handle_id(&guest->refresh, g_source_remove);
	}
	guest_exec_pending(guest);
	guest->events->ready(ready, guest->user_data);
}

static const struct qga_events qga_events = { .ready = on_qga_ready };
static const struct mux_events mux_events = { .answered = on_mux_answered, .lost = on_mux_lost };

/* ---- what others call ---- */

struct guest *guest_new(const char *run_dir, const struct guest_events *events, gpointer user_data)
{
	struct guest *guest = g_new0(struct guest, 1);
	guest->run_dir = g_strdup(run_dir);
	guest->events = events;
	guest->stream_grace_us = STREAM_GRACE_US;
	guest->quick_refresh_ms = QUICK_REFRESH_MS;
	guest->user_data = user_data;
	guest->qga = qga_new(run_dir, &qga_events, guest);
	guest->mux = mux_new(&mux_events, guest);
	guest->execs = g_ptr_array_new();
	g_queue_init(&guest->pending);
	return guest;
}

void guest_free(struct guest *guest)
{
	static const char reason[] = "the VM ended";
	if (!guest)
		return;
	g_clear_handle_id(&guest->refresh, g_source_remove);
	g_clear_handle_id(&guest->link_retry, g_source_remove);
	guest_exec_pending_end(guest, reason);
	guest_execs_end(guest, reason);
	mux_free(guest->mux, reason);
	qga_free(guest->qga);
	g_ptr_array_unref(guest->execs);
	g_strfreev(guest->addresses);
	g_free(guest->run_dir);
	g_free(guest);
}

void guest_port_opened(struct guest *guest, gboolean open)
{
	guest->open = open;
	g_clear_handle_id(&guest->refresh, g_source_remove);
	g_clear_handle_id(&guest->link_retry, g_source_remove);
	mux_detach(guest->mux, "the guest went away: it was started again, or its agent ended");
	qga_port_opened(guest->qga, open);
	connect_stream(guest);
}

gboolean guest_is_ready(const struct guest *guest)
{
	return qga_is_ready(guest->qga);
}

gboolean guest_shutdown(struct guest *guest)
{
	return qga_post(guest->qga, "guest-shutdown");
}

struct qga *guest_qga(struct guest *guest)
{
	return guest->qga;
}
