/* What a trace does not tell, by documented, seeded rules: a tenant for each batch by Zipf's law (the n-th of DERIVE_TENANTS
 * tenants has 1/n as many batches as the first). Whole numbers throughout. */
#pragma once

#include <glib.h>

#define DERIVE_TENANTS 1000

struct derive {
	guint64 seed;
	guint64 sums[DERIVE_TENANTS]; /* of weights */
};
void derive_init(struct derive *derive, guint64 seed);
/* derive_tenant(derive, batch): from 1; the same for the same seed and batch. */
guint32 derive_tenant(const struct derive *derive, guint32 batch);

/* derive_leaves_out(derive, batch, share): whether this seed leaves the batch out. `share` of all are, each seed others:
 * what differs between seeds then shows how much an outcome owes to the very VMs that came. */
gboolean derive_leaves_out(const struct derive *derive, guint32 batch, double share);
