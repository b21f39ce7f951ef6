/* User ids that Polder's processes take when started by root. They lie above every range that Debian and systemd hand
 * out, so none of them is a person's or a package's. */
#pragma once

#define POLDER_USER         "polder"    /* polderd's user and the socket's group, when the system has them … */
#define POLDER_DAEMON_UID   0x7fff0000u /* … and the numbers used when it has not (a build tree, a container) */
#define POLDER_VM_UID_FIRST 0x70000000u /* each running QEMU gets a uid of its own from here: no VM can touch another */
#define POLDER_VM_UID_COUNT 65536u
