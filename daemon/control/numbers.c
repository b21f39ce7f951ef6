#include "daemon/control/numbers.h"

void numbers_init(struct numbers *numbers, guint max)
{
	*numbers = (struct numbers) { .by_name = g_hash_table_new(g_str_hash, g_str_equal),
				      .names = g_ptr_array_new_with_free_func(g_free),
				      .refs = g_array_new(FALSE, TRUE, sizeof(guint)),
				      .max = max };
}

void numbers_clear(struct numbers *numbers)
{
	g_hash_table_unref(numbers->by_name);
	g_ptr_array_unref(numbers->names);
	g_array_unref(numbers->refs);
}

guint32 numbers_find(const struct numbers *numbers, const char *name)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(numbers->by_name, name));
}

guint32 numbers_ref(struct numbers *numbers, const char *name, gboolean *is_new)
{
	guint32 number = numbers_find(numbers, name);
	guint zero = 0;
	char *copy;

	if (is_new)
		*is_new = number == 0;
	if (number) {
		g_array_index(numbers->refs, guint, number - 1)++;
		return number;
	}
	while (numbers->first_free < numbers->names->len && g_ptr_array_index(numbers->names, numbers->first_free))
		numbers->first_free++;
	if (numbers->max && numbers->first_free == numbers->max)
		return 0;
	if (numbers->first_free == numbers->names->len) {
		g_ptr_array_add(numbers->names, NULL);
		g_array_append_val(numbers->refs, zero);
	}
	number = numbers->first_free + 1;
	copy = g_strdup(name);
	g_ptr_array_index(numbers->names, number - 1) = copy;
	g_array_index(numbers->refs, guint, number - 1) = 1;
	g_hash_table_insert(numbers->by_name, copy, GUINT_TO_POINTER(number));
	return number;
}

void numbers_unref(struct numbers *numbers, guint32 number)
{
	g_assert(number >= 1 && number <= numbers->refs->len);
	g_assert(g_array_index(numbers->refs, guint, number - 1) > 0);
	if (--g_array_index(numbers->refs, guint, number - 1))
		return;
	g_hash_table_remove(numbers->by_name, g_ptr_array_index(numbers->names, number - 1));
	g_free(g_ptr_array_index(numbers->names, number - 1));
	g_ptr_array_index(numbers->names, number - 1) = NULL;
	numbers->first_free = MIN(numbers->first_free, number - 1);
}
