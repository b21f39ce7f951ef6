/* Every limit of Polder, in one place. A limit is part of the contract: what exceeds it is refused with its name. */
#pragma once

/* Names of VMs, pools, images, hosts: [a-z0-9] then [a-z0-9.-], so that a name is safe as a path component, a key
 * component and a host name. 63 keeps every unix socket path under the kernel's 108 bytes. */
#define LIMIT_NAME_BYTES 63

#define LIMIT_VM_CPUS_MAX         288u /* q35 with an IOMMU-less APIC id space: 255; 288 is QEMU's own bound */
#define LIMIT_VM_MEMORY_MIN_BYTES (16ull << 20)
#define LIMIT_VM_MEMORY_MAX_BYTES \
	(1ull << 56)                     /* anything above is a typing error; what fits is allocation's business */
#define LIMIT_VM_PUBLISH_MAX         32u /* published ports of one VM */
#define LIMIT_VM_STOP_TIMEOUT_MAX_MS 3600000u
#define LIMIT_CMDLINE_BYTES          1024u /* kernel command line added by the user */

/* Store (etcd's own defaults, so that every backend can hold them). */
#define LIMIT_STORE_TXN_OPS            128u
#define LIMIT_STORE_REQUEST_BYTES      (1u << 20)
#define LIMIT_STORE_KEY_BYTES          512u
#define LIMIT_STORE_PAGE_ENTRIES       1000u /* entries one range answers at most; ask again from `more` */
#define LIMIT_STORE_HISTORY_REVISIONS  10000 /* revisions a watch can go back before it hears "compacted" */
#define LIMIT_STORE_REQUEST_TIMEOUT_MS 10000u

/* API. */
#define LIMIT_API_BODY_BYTES  (1u << 20)
#define LIMIT_API_JSON_DEPTH  16u
#define LIMIT_API_CONNECTIONS 256u
#define LIMIT_API_WATCHERS    64u /* event streams open at a time */

/* What a guest may make us hold. */
#define LIMIT_CONSOLE_LOG_BYTES   (1u << 20) /* per file; one older file is kept beside it */
#define LIMIT_CONSOLE_CLIENTS     8u
#define LIMIT_QMP_LINE_BYTES      (1u << 20)
#define LIMIT_QMP_TIMEOUT_MS      10000u
#define LIMIT_GUEST_LINE_BYTES    (1u << 20)
#define LIMIT_GUEST_TIMEOUT_MS    5000u
#define LIMIT_EXEC_SESSIONS       64u /* per VM */
#define LIMIT_EXEC_ARGS           256u
#define LIMIT_EXEC_REQUEST_BYTES  65536u       /* argv, environment and directory of one exec, as JSON */
#define LIMIT_STREAM_WINDOW_BYTES (256u << 10) /* unacknowledged bytes per direction of one stream */

/* Life cycle. */
#define LIMIT_START_TIMEOUT_MS       30000u /* from fork until the engine answers */
#define LIMIT_RESTART_BACKOFF_MIN_MS 1000u
#define LIMIT_RESTART_BACKOFF_MAX_MS 60000u
#define LIMIT_EPHEMERAL_LEASE_MS     30000u /* a throwaway VM whose client vanished is removed after this */
#define LIMIT_DAEMON_IDLE_MS         10000u /* a daemon started by the CLI ends this long after its last VM and client */
