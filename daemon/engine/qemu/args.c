#include "daemon/engine/qemu/args.h"

#include <string.h>

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/units.h"
#include "guest/protocol.h"

/* Bytes of translated code TCG keeps. QEMU's default is an eighth of the host's memory, up to 1 GiB: more than most
 * guests have. */
#define TCG_CACHE_MIB 256

char *args_escape(const char *value)
{
	GString *text = g_string_new(NULL);

	for (; *value; value++) {
		if (*value == ',')
			g_string_append_c(text, ',');
		g_string_append_c(text, *value);
	}
	return g_string_free(text, FALSE);
}

static void add(GPtrArray *argv, const char *option, const char *value)
{
	g_ptr_array_add(argv, g_strdup(option));
	if (value)
		g_ptr_array_add(argv, g_strdup(value));
}

static void G_GNUC_PRINTF(3, 4) addf(GPtrArray *argv, const char *option, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(argv, g_strdup(option));
	g_ptr_array_add(argv, g_strdup_vprintf(format, args));
	va_end(args);
}

static gboolean invalid(GError **error, const char *what, const char *value)
{
	g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID, "%s: \"%s\"", what, value ? value : "");
	return FALSE;
}

static gboolean check_path(const char *path, const char *what, GError **error)
{
	return !path || g_path_is_absolute(path) || invalid(error, what, path);
}

static gboolean check(const struct engine_config *config, GError **error)
{
	if (!name_check(config->name, error))
		return FALSE;
	if (!config->uuid || !g_uuid_string_is_valid(config->uuid))
		return invalid(error, "the VM's uuid is not one", config->uuid);
	if (config->cpus < 1 || config->cpus > LIMIT_VM_CPUS_MAX || config->memory_bytes < LIMIT_VM_MEMORY_MIN_BYTES ||
	    config->memory_bytes > LIMIT_VM_MEMORY_MAX_BYTES) {
		g_set_error(error, POLDER_ERROR, POLDER_ERROR_INVALID,
			    "%" G_GUINT64_FORMAT " CPUs with %" G_GUINT64_FORMAT " bytes of memory can't be run",
			    config->cpus, config->memory_bytes);
		return FALSE;
	}
	if (!config->kernel && !config->firmware)
		return invalid(error, "the image has neither kernel nor firmware", config->name);
	return check_path(config->kernel, "the kernel's path is not absolute", error) &&
	       check_path(config->initrd, "the initrd's path is not absolute", error) &&
	       check_path(config->firmware, "the firmware's path is not absolute", error);
}

static void add_machine(GPtrArray *argv, const struct engine_config *config, const char *accelerator)
{
	gboolean kvm = !strcmp(accelerator, "kvm");

	addf(argv, "-name", "guest=%s", config->name);
	add(argv, "-uuid", config->uuid);
	add(argv, "-nodefaults", NULL);
	add(argv, "-no-user-config", NULL);
	/* Paused until the agent says go: the CPU plan is applied before the first instruction. */
	add(argv, "-S", NULL);
	add(argv, "-display", "none");
	add(argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	/* What no guest of ours uses costs start time and attack surface. */
	add(argv, "-machine", "q35,usb=off,vmport=off,smbus=off,sata=off,graphics=off,dump-guest-core=off");
	if (kvm)
		add(argv, "-accel", "kvm");
	else
		addf(argv, "-accel", "tcg,tb-size=%d", TCG_CACHE_MIB);
	/* With five-level paging, which TCG offers, a guest's page walks cost a quarter more for nothing. */
	add(argv, "-cpu", kvm ? "host" : "max,la57=off");
	addf(argv, "-smp", "%" G_GUINT64_FORMAT, config->cpus);
	addf(argv, "-m", "%" G_GUINT64_FORMAT "K", config->memory_bytes / 1024);
	add(argv, "-rtc", "base=utc");
	/* A suspended VM would be a state nobody can wake it from. */
	add(argv, "-global", "ICH9-LPC.disable_s3=1");
	add(argv, "-global", "ICH9-LPC.disable_s4=1");
	/* A guest that crashed ends QEMU with status 1, so that the reason is known even if no agent was there. */
	add(argv, "-action", "panic=exit-failure");
}

static void add_boot(GPtrArray *argv, const struct engine_config *config)
{
	if (config->firmware)
		add(argv, "-bios", config->firmware);
	if (!config->kernel)
		return;
	add(argv, "-kernel", config->kernel);
	if (config->initrd)
		add(argv, "-initrd", config->initrd);
	/* The guest's name, and whether it has slirp's fixed address: for our own images; any other kernel passes over them. */
	addf(argv, "-append", "%s%spolder.name=%s polder.net=%s", config->cmdline ? config->cmdline : "",
	     config->cmdline && *config->cmdline ? " " : "", config->name,
	     config->network == VM_NETWORK_USER ? "user" : "none");
}

static void add_ports(GPtrArray *argv)
{
	addf(argv, "-chardev", "socket,id=qmp,fd=%d,server=on,wait=off", ARGS_FD_QMP);
	add(argv, "-mon", "chardev=qmp,mode=control");
	addf(argv, "-chardev", "socket,id=console,fd=%d", ARGS_FD_CONSOLE);
	add(argv, "-serial", "chardev:console");
	add(argv, "-device", "virtio-serial-pci,id=ports");
	addf(argv, "-chardev", "socket,id=%s,fd=%d,server=on,wait=off", ARGS_AGENT_ID, ARGS_FD_GUEST);
	addf(argv, "-device", "virtserialport,id=%s,chardev=%s,name=%s", ARGS_AGENT_ID, ARGS_AGENT_ID,
	     STREAM_AGENT_PORT_NAME);
	addf(argv, "-chardev", "socket,id=stream,fd=%d,server=on,wait=off", ARGS_FD_STREAM);
	addf(argv, "-device", "virtserialport,id=stream,chardev=stream,name=%s", STREAM_PORT_NAME);
}

static gboolean add_network(GPtrArray *argv, const struct engine_config *config, GError **error)
{
	g_autoptr(GString) netdev = g_string_new("user,id=net");

	if (config->network == VM_NETWORK_NONE)
		return TRUE;
	for (guint i = 0; config->publish && config->publish[i]; i++) {
		struct publish publish;
		if (i >= LIMIT_VM_PUBLISH_MAX)
			return invalid(error, "more published ports than a VM may have", config->publish[i]);
		if (!publish_parse(config->publish[i], &publish, error))
			return FALSE;
		g_string_append_printf(netdev, ",hostfwd=%s:%s:%u-:%u", publish.udp ? "udp" : "tcp",
				       publish.host_address, publish.host_port, publish.guest_port);
	}
	add(argv, "-netdev", netdev->str);
	/* No option ROM: nothing here boots from the network. */
	add(argv, "-device", "virtio-net-pci,netdev=net,romfile=");
	return TRUE;
}

char **args_new(const struct engine_config *config, const char *qemu, const char *accelerator, GError **error)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);

	if (!check(config, error))
		return NULL;
	add(argv, qemu, NULL);
	add_machine(argv, config, accelerator);
	add_boot(argv, config);
	add_ports(argv);
	add(argv, "-device", "virtio-rng-pci");
	/* The ISA one is what old guests know, the PCI one what `tiny` and new ones load a driver for by themselves. */
	add(argv, "-device", "pvpanic");
	add(argv, "-device", "pvpanic-pci");
	add(argv, "-device", "vmgenid,guid=auto");
	if (!add_network(argv, config, error))
		return NULL;
	g_ptr_array_add(argv, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&argv), FALSE);
}
