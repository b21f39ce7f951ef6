#include "lab/derive.h"

void derive_init(struct derive *derive, guint64 seed)
{
	guint64 sum = 0;

	derive->seed = seed;
	for (guint i = 0; i < DERIVE_TENANTS; i++)
		derive->sums[i] = sum += (G_GUINT64_CONSTANT(1) << 32) / (i + 1);
}

/* splitmix64 (Steele, Lea and Flood 2014). */
static guint64 mix(guint64 x)
{
	x += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

guint32 derive_tenant(const struct derive *derive, guint32 batch)
{
	guint64 at = mix(mix(derive->seed) ^ batch) % derive->sums[DERIVE_TENANTS - 1];
	guint low = 0, high = DERIVE_TENANTS - 1;

	while (low < high) {
		guint middle = (low + high) / 2;
		if (derive->sums[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low + 1;
}

gboolean derive_leaves_out(const struct derive *derive, guint32 batch, double share)
{
	/* Not the draw of derive_tenant(), or small tenants would be left out more often than others. */
	return (double)(mix(mix(derive->seed + 1) ^ ~(guint64)batch) >> 11) * 0x1p-53 < share;
}
