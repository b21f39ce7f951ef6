/* Every limit of Polder, in one place. A limit is part of the contract: what exceeds it is refused with its name. */
#pragma once

/* Names of VMs, pools, images, hosts: [a-z0-9] then [a-z0-9.-], so that a name is safe as a path component, a key
 * component and a host name. 63 keeps every unix socket path under the kernel's 108 bytes. */
#define LIMIT_NAME_BYTES 63

#define LIMIT_VM_CPUS_MAX        288u /* q35 with an IOMMU-less APIC id space: 255; 288 is QEMU's own bound */
#define LIMIT_CPU_WEIGHT_NORMAL  100u
#define LIMIT_CPU_WEIGHT_MAX     10000u
#define LIMIT_CPU_LATENCY_MAX_US 1000000u
/* Of a host's CPUs, what may be reserved: of the 95 that the kernel gives to SCHED_DEADLINE, Linux 6.12 and later keep 5 for
 * everybody else. */
#define LIMIT_CPU_RESERVE_PERCENT 90u
/* What a vCPU can be limited to at least, in thousandths of a CPU: the kernel's least quota, 1 ms, in its longest period, 1 s. */
#define LIMIT_CPU_LIMIT_MIN_MILLI 1u
#define LIMIT_VM_MEMORY_MIN_BYTES (16ull << 20)
#define LIMIT_VM_MEMORY_MAX_BYTES \
	(1ull << 56)                     /* anything above is a typing error; what fits is allocation's business */
#define LIMIT_VM_PUBLISH_MAX         32u /* published ports of one VM */
#define LIMIT_VM_STOP_TIMEOUT_MAX_MS 3600000u
#define LIMIT_CMDLINE_BYTES          1024u /* kernel command line added by the user */

/* Placement. */
#define LIMIT_VM_GROUPS          4u
#define LIMIT_VM_TERMS           6u /* affinity and anti-affinity together */
#define LIMIT_VM_SPREADS         3u
#define LIMIT_LABELS             64u /* on one host or VM; as many different ones may VMs ask for at a time */
#define LIMIT_LABEL_BYTES        127u
#define LIMIT_EXTENDED           4u /* kinds of extended resources there are at a time */
#define LIMIT_HOST_NODES         8u /* NUMA nodes */
#define LIMIT_THREADS_PER_CORE   16u
#define LIMIT_PRIORITY_MAX       1000u
#define LIMIT_NETWORK_BPS_MAX    1000000000000000ull
#define LIMIT_GANG               1000u
#define LIMIT_OVERCOMMIT_PERCENT 10000u
#define LIMIT_POOL_AMOUNTS       16u
#define LIMIT_SPARE_HOSTS        8u
#define LIMIT_POOLS              4095u
#define LIMIT_PARAMETERS         16u
#define LIMIT_STRATEGY_HISTORY   16u
#define LIMIT_SIM_HOSTS          10000u
#define LIMIT_EXPLAIN_HOSTS      1000u /* with more, a decision is explained only when somebody asks */
#define LIMIT_PREEMPTED          16u   /* VMs stopped for one of higher priority */

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
#define LIMIT_API_BATCH_VMS   256u /* VMs created by one request */
#define LIMIT_API_WATCHERS    64u  /* event streams open at a time */

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
