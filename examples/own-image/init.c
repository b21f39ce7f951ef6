/* A whole guest: the kernel starts this as its first process. It says what it finds, and powers the machine off. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int main(void)
{
	struct sysinfo info;

	/* An initrd has no /dev: make the one node needed. 5:1 is the console. */
	mkdir("/dev", 0755);
	mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
	int console = open("/dev/console", O_WRONLY);
	sysinfo(&info);
	dprintf(console, "Hello from a guest that is one C file. It has %d CPU and %lu MiB.\n", get_nprocs_conf(),
		(unsigned long)(info.totalram * info.mem_unit >> 20));
	fsync(console);
	reboot(RB_POWER_OFF);
}
