/* The guest's network. */
#pragma once

/* network_up_loopback(): bring up lo. */
void network_up_loopback(void);

/* network_up_user(): give eth0 the address QEMU's user network (slirp) always has for its first guest: 10.0.2.15/24,
 * gateway 10.0.2.2, name server 10.0.2.3. That takes no time; DHCP would. Does nothing while there is no eth0, and may be
 * called again. */
void network_up_user(void);
