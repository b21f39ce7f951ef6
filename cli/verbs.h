/* What carries out each row of the command table. See struct command's carry_out for the contract. */
#pragma once

#include "cli/command.h"

/* run.c */
int verb_run(struct invocation *invocation, GError **error);

/* attach.c */
int verb_exec(struct invocation *invocation, GError **error);
int verb_console(struct invocation *invocation, GError **error);

/* vms.c */
int verb_ps(struct invocation *invocation, GError **error);
int verb_show(struct invocation *invocation, GError **error);

/* lifecycle.c */
int verb_start(struct invocation *invocation, GError **error);
int verb_stop(struct invocation *invocation, GError **error);
int verb_pause(struct invocation *invocation, GError **error);
int verb_resume(struct invocation *invocation, GError **error);
int verb_rm(struct invocation *invocation, GError **error);

/* watch.c */
int verb_logs(struct invocation *invocation, GError **error);
int verb_events(struct invocation *invocation, GError **error);

/* explain.c, moves.c */
int verb_explain(struct invocation *invocation, GError **error);
int verb_rebalance(struct invocation *invocation, GError **error);

/* hosts.c */
int verb_host_ls(struct invocation *invocation, GError **error);
int verb_host_show(struct invocation *invocation, GError **error);
int verb_host_capacity(struct invocation *invocation, GError **error);
int verb_pool_ls(struct invocation *invocation, GError **error);

/* cpu.c */
int verb_cpu_top(struct invocation *invocation, GError **error);

/* host_changes.c */
int verb_host_add(struct invocation *invocation, GError **error);
int verb_host_rm(struct invocation *invocation, GError **error);
int verb_host_label(struct invocation *invocation, GError **error);
int verb_host_taint(struct invocation *invocation, GError **error);
int verb_host_overcommit(struct invocation *invocation, GError **error);
int verb_host_drain(struct invocation *invocation, GError **error);
int verb_host_uncordon(struct invocation *invocation, GError **error);

/* pools.c */
int verb_pool_show(struct invocation *invocation, GError **error);
int verb_pool_create(struct invocation *invocation, GError **error);
int verb_pool_set(struct invocation *invocation, GError **error);
int verb_pool_rm(struct invocation *invocation, GError **error);

/* images.c */
int verb_image_ls(struct invocation *invocation, GError **error);
int verb_image_show(struct invocation *invocation, GError **error);
int verb_image_build(struct invocation *invocation, GError **error);
int verb_image_add(struct invocation *invocation, GError **error);
int verb_image_rm(struct invocation *invocation, GError **error);

/* system.c */
int verb_version(struct invocation *invocation, GError **error);
int verb_daemon(struct invocation *invocation, GError **error);
int verb_completion(struct invocation *invocation, GError **error);
int verb_man(struct invocation *invocation, GError **error);
int verb_help(struct invocation *invocation, GError **error);

/* lab.c */
int verb_lab_allocation(struct invocation *invocation, GError **error);

/* strategy_show.c */
int verb_strategy_ls(struct invocation *invocation, GError **error);
int verb_strategy_show(struct invocation *invocation, GError **error);

/* strategy_evidence.c */
int verb_strategy_select(struct invocation *invocation, GError **error);
int verb_strategy_optimize(struct invocation *invocation, GError **error);

/* strategy.c */
int verb_strategy_apply(struct invocation *invocation, GError **error);
int verb_strategy_rollback(struct invocation *invocation, GError **error);
int verb_strategy_status(struct invocation *invocation, GError **error);

/* lab_scheduling.c */
int verb_lab_scheduling(struct invocation *invocation, GError **error);

/* lab_rebalance.c */
int verb_lab_rebalance(struct invocation *invocation, GError **error);
