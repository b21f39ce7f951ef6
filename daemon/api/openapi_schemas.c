/* The schemas of the contract: the nouns' from their tables, and those of answers that are no noun. */
#include "daemon/api/openapi_schemas.h"

#include "daemon/model/error.h"
#include "daemon/model/limits.h"
#include "daemon/model/nouns.h"

JsonObject *schema_typed(const char *type, const char *doc)
{
	JsonObject *schema = json_object_new();

	json_object_set_string_member(schema, "type", type);
	if (doc)
		json_object_set_string_member(schema, "description", doc);
	return schema;
}

JsonObject *schema_reference(const char *schema)
{
	JsonObject *object = json_object_new();
	g_autofree char *path = g_strconcat("#/components/schemas/", schema, NULL);

	json_object_set_string_member(object, "$ref", path);
	return object;
}

/* An object whose members are all required and no others allowed; fill with add(). */
static JsonObject *closed_object(const char *doc)
{
	JsonObject *schema = schema_typed("object", doc);

	json_object_set_object_member(schema, "properties", json_object_new());
	json_object_set_array_member(schema, "required", json_array_new());
	json_object_set_boolean_member(schema, "additionalProperties", FALSE);
	return schema;
}

static JsonObject *add(JsonObject *schema, const char *name, JsonObject *property)
{
	json_object_set_object_member(json_object_get_object_member(schema, "properties"), name, property);
	json_array_add_string_element(json_object_get_array_member(schema, "required"), name);
	return schema;
}

static JsonObject *list_of(const char *member, const char *item)
{
	JsonObject *schema = closed_object(NULL);
	JsonObject *array = schema_typed("array", NULL);

	json_object_set_object_member(array, "items", schema_reference(item));
	return add(schema, member, array);
}

static JsonObject *one_of(const char *const *values, const char *doc)
{
	JsonObject *schema = schema_typed("string", doc);
	JsonArray *array = json_array_new();

	for (; *values; values++)
		json_array_add_string_element(array, *values);
	json_object_set_array_member(schema, "enum", array);
	return schema;
}

static JsonObject *int64(const char *doc)
{
	JsonObject *schema = schema_typed("integer", doc);

	json_object_set_string_member(schema, "format", "int64");
	return schema;
}

static JsonObject *problem_schema(void)
{
	JsonObject *schema = closed_object("What is wrong and what to do next (RFC 9457).");
	const char *codes[POLDER_ERROR_COUNT + 1] = { NULL };

	for (int code = 0; code < POLDER_ERROR_COUNT; code++)
		codes[code] = polder_error_info(code)->name;
	add(schema, "type", schema_typed("string", NULL));
	add(schema, "title", schema_typed("string", NULL));
	add(schema, "status", schema_typed("integer", "The HTTP status."));
	add(schema, "code", one_of(codes, "For programs."));
	return add(schema, "detail",
		   schema_typed("string", "For people: what was asked, what is wrong, what to do next."));
}

static JsonObject *version_schema(void)
{
	static const char *const scopes[] = { "system", "user", NULL };
	JsonObject *daemon = closed_object("The process that answers.");
	JsonObject *started_at = schema_typed("string", NULL);
	JsonObject *schema = closed_object(NULL);

	json_object_set_string_member(started_at, "format", "date-time");
	add(daemon, "pid", schema_typed("integer", NULL));
	add(daemon, "agent_pid", schema_typed("integer", NULL));
	add(daemon, "scope", one_of(scopes, NULL));
	add(daemon, "socket", schema_typed("string", NULL));
	add(daemon, "started_at", started_at);
	add(schema, "version", schema_typed("string", NULL));
	add(schema, "api", schema_typed("string", NULL));
	return add(schema, "daemon", daemon);
}

static JsonObject *event_schema(void)
{
	static const char *const types[] = { "vm", "image", "host", NULL };
	static const char *const changes[] = { "created", "changed", "removed", NULL };
	JsonObject *schema = closed_object("One visible change.");
	JsonObject *time = schema_typed("string", NULL), *properties;

	json_object_set_string_member(time, "format", "date-time");
	add(schema, "revision", int64("Also the event's id."));
	add(schema, "time", time);
	add(schema, "type", one_of(types, NULL));
	add(schema, "name", schema_typed("string", NULL));
	add(schema, "change", one_of(changes, NULL));
	add(schema, "state", schema_typed("string", "A VM's or image's state; removing; a host is up or down."));
	add(schema, "reason", schema_typed("string", "Why it is in this state; for an image being built, the step."));
	properties = json_object_get_object_member(schema, "properties");
	json_object_set_object_member(properties, "ready", schema_typed("boolean", "VMs: the guest agent answers."));
	json_object_set_object_member(properties, "progress_percent", schema_typed("integer", "Images."));
	return schema;
}

static JsonObject *stop_schema(void)
{
	JsonObject *schema = schema_typed("object", "How long a stop may take.");
	JsonObject *properties = json_object_new(), *timeout = int64("0 kills at once. Left out: as the VM says.");

	json_object_set_int_member(timeout, "minimum", 0);
	json_object_set_int_member(timeout, "maximum", LIMIT_VM_STOP_TIMEOUT_MAX_MS);
	json_object_set_object_member(properties, "timeout_ms", timeout);
	json_object_set_object_member(schema, "properties", properties);
	json_object_set_boolean_member(schema, "additionalProperties", FALSE);
	return schema;
}

static JsonObject *batch_schema(void)
{
	JsonObject *schema = list_of("vms", "VmCreate");
	JsonObject *vms = json_object_get_object_member(json_object_get_object_member(schema, "properties"), "vms");

	json_object_set_int_member(vms, "maxItems", LIMIT_API_BATCH_VMS);
	return schema;
}

static JsonObject *batch_item_schema(void)
{
	JsonObject *schema = closed_object("What became of one VM of a batch, in the order asked.");

	add(schema, "name", schema_typed("string", NULL));
	add(schema, "created", schema_typed("boolean", "It is there; false: nothing of it was kept."));
	add(schema, "host",
	    schema_typed("string", "Where; empty when it was not created, or waits for others to make room."));
	add(schema, "code", schema_typed("string", "A problem's code, or empty."));
	return add(schema, "detail", schema_typed("string", "What is wrong and what to do next, or empty."));
}

/* ---- What control answers (daemon/control/control.h) ---- */

static JsonObject *array_of(JsonObject *item, const char *doc)
{
	JsonObject *schema = schema_typed("array", doc);

	json_object_set_object_member(schema, "items", item);
	return schema;
}

static JsonObject *strings(const char *doc)
{
	return array_of(schema_typed("string", NULL), doc);
}

static JsonObject *number(const char *doc)
{
	return schema_typed("number", doc);
}

static JsonObject *ruled_out_schema(void)
{
	JsonObject *schema = closed_object("Hosts that one constraint kept it off.");

	add(schema, "constraint", schema_typed("string", NULL));
	add(schema, "hosts", schema_typed("integer", NULL));
	return add(schema, "text", schema_typed("string", "For people: 12 lack memory."));
}

static JsonObject *texts(const char *doc, const char *const *names)
{
	JsonObject *schema = closed_object(doc);

	for (; *names; names++)
		add(schema, *names, schema_typed("string", NULL));
	return schema;
}

static JsonObject *recorded_schema(void)
{
	JsonObject *schema =
		texts("What was recorded when it was decided.",
		      (const char *const[]) { "host", "reason", "strategy", "step", "runner_up", "relief", NULL });

	add(schema, "refused", schema_typed("boolean", NULL));
	add(schema, "nodes", strings(NULL));
	add(schema, "parameters", strings(NULL));
	add(schema, "seed", int64(NULL));
	add(schema, "score", number(NULL));
	add(schema, "ruled_out", strings(NULL));
	return add(schema, "decided_revision", int64(NULL));
}

static JsonObject *explanation_schema(void)
{
	JsonObject *schema = closed_object("Where a VM goes now, why there, and what would change it.");

	add(schema, "vm", schema_typed("string", "Its name; empty when only asked."));
	add(schema, "refused", schema_typed("boolean", "No host can take it."));
	for (const char *const *name = (const char *const[]) { "host", "reason", "strategy", "step", "runner_up",
							       "relief", "tightest", "tightest_left", NULL };
	     *name; name++)
		add(schema, *name, schema_typed("string", NULL));
	add(schema, "nodes", strings("NUMA nodes of the host."));
	add(schema, "parameters", strings("Of the strategy, where they differ from the defaults."));
	add(schema, "seed", int64(NULL));
	add(schema, "score", number("The strategy's cost of the host: smaller is better."));
	add(schema, "runner_up_score", number(NULL));
	add(schema, "hosts", schema_typed("integer", "Present."));
	add(schema, "feasible", schema_typed("integer", "Hosts that could take it."));
	add(schema, "ruled_out", array_of(ruled_out_schema(), "In the order tested."));
	add(schema, "revision", int64("Of what it was decided on."));
	json_object_set_object_member(json_object_get_object_member(schema, "properties"), "recorded",
				      recorded_schema());
	return schema;
}

static JsonObject *capacity_schema(void)
{
	JsonObject *schema = closed_object("How many more fit."), *out = closed_object(NULL);

	add(out, "constraint", schema_typed("string", NULL));
	add(out, "hosts", schema_typed("integer", "That it stops."));
	add(schema, "more", int64(NULL));
	add(schema, "capped", schema_typed("boolean", "There are more: counting stopped."));
	return add(schema, "first_out", array_of(out, "What runs out, most hosts first."));
}

static JsonObject *drain_schema(void)
{
	JsonObject *schema = closed_object("Where a host's VMs would go.");

	add(schema, "host", schema_typed("string", NULL));
	add(schema, "moves",
	    array_of(texts(NULL, (const char *const[]) { "vm", "from", "to", "reason", NULL }),
		     "In an order that works."));
	return add(schema, "stuck",
		   array_of(texts(NULL, (const char *const[]) { "vm", "reason", NULL }), "VMs with nowhere to go."));
}

static JsonObject *rebalance_schema(void)
{
	static const char *const counts[] = { "hosts_used_before", "hosts_used_after", "overloaded_before",
					      "overloaded_after",  "hosts_emptied",    NULL };
	JsonObject *schema = closed_object("Moves that would improve the whole; none is carried out.");
	JsonObject *gain = closed_object("Figures before and after.");

	add(schema, "strategy", schema_typed("string", NULL));
	add(schema, "moves",
	    array_of(texts(NULL, (const char *const[]) { "vm", "from", "to", NULL }), "In an order that works."));
	add(schema, "memory_moved_bytes", int64("What the moves cost."));
	for (const char *const *figure = counts; *figure; figure++)
		add(gain, *figure, schema_typed("integer", NULL));
	add(gain, "imbalance_before", number(NULL));
	add(gain, "imbalance_after", number(NULL));
	return add(schema, "gain", gain);
}

static JsonObject *cpu_schema(void)
{
	static const char *const counts[] = { "vcpu",   "thread",       "weight",    "run_ns", "ready_ns",
					      "slices", "throttled_ns", "throttled", NULL };
	JsonObject *schema = closed_object("What vCPUs got."), *vcpu = closed_object(NULL),
		   *mechanism = closed_object(NULL);

	add(vcpu, "vm", schema_typed("string", NULL));
	for (const char *const *count = counts; *count; count++)
		add(vcpu, *count, int64(NULL));
	add(vcpu, "corrected_weight", int64("At work: the weight, corrected by what the vCPU got so far."));
	add(vcpu, "entitlement_percent", number("Of one CPU, were all to run at once."));
	add(mechanism, "name", schema_typed("string", NULL));
	add(mechanism, "works", schema_typed("boolean", NULL));
	add(mechanism, "why", schema_typed("string", "How, or why not."));
	add(schema, "time_us", int64("When it was counted."));
	add(schema, "cpus", schema_typed("integer", "Of the host."));
	add(schema, "strategy", schema_typed("string", "Of scheduling, at work."));
	add(schema, "vcpus", array_of(vcpu, NULL));
	return add(schema, "mechanisms", array_of(mechanism, "What this host can enforce."));
}

static JsonObject *pool_schema(void)
{
	JsonObject *schema = noun_schema(&pool_noun, NOUN_FROM_STORE), *usage = closed_object("What it takes now.");

	add(usage, "vms", schema_typed("integer", NULL));
	add(usage, "dominant_share", number("Of all hosts, of the resource it takes most of."));
	add(usage, "dominant", schema_typed("string", "That resource."));
	add(usage, "used", strings(NULL));
	add(usage, "total", strings("Of all hosts."));
	json_object_set_boolean_member(usage, "nullable", TRUE);
	return add(schema, "usage", usage);
}

static JsonObject *host_schema(void)
{
	JsonObject *schema = noun_schema(&host_noun, NOUN_FROM_STORE), *node = closed_object("A NUMA node.");
	JsonObject *usage = closed_object("What is given out, in the answer about one host.");

	add(schema, "spec", schema_reference("HostSpec"));
	add(node, "free", strings(NULL));
	add(node, "total", strings(NULL));
	add(usage, "vms", schema_typed("integer", NULL));
	add(usage, "free", strings(NULL));
	add(usage, "total", strings("Overcommit in, its own reserve off."));
	add(usage, "nodes", array_of(node, NULL));
	json_object_set_object_member(json_object_get_object_member(schema, "properties"), "usage", usage);
	return schema;
}

static JsonObject *host_create_schema(void)
{
	JsonObject *schema = schema_typed("object", "Simulated hosts to add."), *properties = json_object_new();
	static const char *const sim[] = { "sim", NULL };
	JsonArray *required = json_array_new();

	json_object_set_object_member(properties, "engine", one_of(sim, NULL));
	json_object_set_object_member(properties, "count", schema_typed("integer", "How many (default 1)."));
	json_object_set_object_member(properties, "shape",
				      schema_typed("string", "2x40c90G: two NUMA nodes of 40 processors and 90 GiB."));
	json_object_set_object_member(properties, "name", schema_typed("string", "NAME-0001 … (default sim)."));
	json_object_set_object_member(properties, "labels", strings("Of each."));
	json_object_set_object_member(properties, "hosts_per_rack",
				      schema_typed("integer", "Label them with racks of so many."));
	json_object_set_object_member(schema, "properties", properties);
	json_array_add_string_element(required, "engine");
	json_array_add_string_element(required, "shape");
	json_object_set_array_member(schema, "required", required);
	json_object_set_boolean_member(schema, "additionalProperties", FALSE);
	return schema;
}

static JsonObject *host_created_schema(void)
{
	JsonObject *schema = closed_object(NULL);

	add(schema, "created", schema_typed("integer", NULL));
	add(schema, "first", schema_typed("string", "Its name."));
	return add(schema, "last", schema_typed("string", "Its name."));
}

static void add_decisions(JsonObject *all)
{
	json_object_set_object_member(all, "Explanation", explanation_schema());
	json_object_set_object_member(all, "Capacity", capacity_schema());
	json_object_set_object_member(all, "Drain", drain_schema());
	json_object_set_object_member(all, "Rebalance", rebalance_schema());
	json_object_set_object_member(all, "CpuFigures", cpu_schema());
	json_object_set_object_member(all, "Pool", pool_schema());
	json_object_set_object_member(all, "PoolCreate", noun_schema(&pool_noun, NOUN_FROM_CREATE));
	json_object_set_object_member(all, "PoolUpdate", noun_schema(&pool_noun, NOUN_FROM_UPDATE));
	json_object_set_object_member(all, "PoolList", list_of("pools", "Pool"));
	json_object_set_object_member(all, "Host", host_schema());
	json_object_set_object_member(all, "HostSpec", noun_schema(&host_spec_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "HostUpdate", noun_schema(&host_spec_noun, NOUN_FROM_UPDATE));
	json_object_set_object_member(all, "HostCreate", host_create_schema());
	json_object_set_object_member(all, "HostCreated", host_created_schema());
	json_object_set_object_member(all, "StrategyChoice", noun_schema(&strategy_choice_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "StrategyApply", noun_schema(&strategy_choice_noun, NOUN_FROM_CREATE));
}

JsonObject *openapi_schemas(void)
{
	JsonObject *all = json_object_new();
	JsonObject *vm = noun_schema(&vm_noun, NOUN_FROM_STORE), *image = noun_schema(&image_noun, NOUN_FROM_STORE);
	JsonObject *gone = closed_object(NULL);

	add(add(add(vm, "status", schema_reference("VmStatus")), "plan", schema_reference("VmPlan")), "revision",
	    int64("Of the latest change of any of its parts."));
	add(image, "status", schema_reference("ImageStatus"));
	add(add(gone, "name", schema_typed("string", NULL)), "gone",
	    schema_typed("boolean", "Nothing of it is left; false: the removal goes on."));

	json_object_set_object_member(all, "Vm", vm);
	json_object_set_object_member(all, "VmStatus", noun_schema(&status_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "VmPlan", noun_schema(&plan_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "VmCreate", noun_schema(&vm_noun, NOUN_FROM_CREATE));
	json_object_set_object_member(all, "VmBatch", batch_schema());
	json_object_set_object_member(all, "VmBatchItem", batch_item_schema());
	json_object_set_object_member(all, "VmBatchResult", list_of("vms", "VmBatchItem"));
	json_object_set_object_member(all, "VmUpdate", noun_schema(&vm_noun, NOUN_FROM_UPDATE));
	json_object_set_object_member(all, "VmStop", stop_schema());
	json_object_set_object_member(all, "VmList",
				      add(list_of("vms", "Vm"), "revision", int64("Of the whole list.")));
	json_object_set_object_member(all, "Gone", gone);
	json_object_set_object_member(all, "HostList", list_of("hosts", "Host"));
	json_object_set_object_member(all, "Image", image);
	json_object_set_object_member(all, "ImageStatus", noun_schema(&image_status_noun, NOUN_FROM_STORE));
	json_object_set_object_member(all, "ImageCreate", noun_schema(&image_noun, NOUN_FROM_CREATE));
	json_object_set_object_member(all, "ImageList", list_of("images", "Image"));
	add_decisions(all);
	json_object_set_object_member(all, "Event", event_schema());
	json_object_set_object_member(all, "Version", version_schema());
	json_object_set_object_member(all, "Problem", problem_schema());
	return all;
}
