/* Runs a fuzz harness over its corpus without libFuzzer: every file, and every file with each of a few seeded
 * mutations, so that plain gcc builds hold what the fuzzers found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX (1u << 20)
#define MUTATIONS       200

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13; /* xorshift64, Marsaglia 2003 */
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One of: flip a bit, set a byte, cut the tail, repeat a piece. Returns the new size. */
static size_t mutate(uint8_t *data, size_t size, uint64_t *state)
{
	if (size == 0)
		return 0;
	size_t at = random_next(state) % size;
	switch (random_next(state) % 4) {
	case 0:
		data[at] ^= (uint8_t)(1u << (random_next(state) % 8));
		return size;
	case 1:
		data[at] = (uint8_t)random_next(state);
		return size;
	case 2:
		return at;
	default: {
		size_t piece = random_next(state) % (size - at) + 1;
		if (size + piece > INPUT_BYTES_MAX)
			return size;
		memmove(data + at + piece, data + at, size - at);
		return size + piece;
	}
	}
}

/* The harness gets an allocation of the exact size, so that a sanitizer sees one byte too many. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	if (!exact)
		abort();
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static int replay_file(const char *path, uint64_t *state)
{
	static uint8_t original[INPUT_BYTES_MAX], changed[INPUT_BYTES_MAX];
	FILE *file = fopen(path, "rb");
	if (!file)
		return -1;
	size_t size = fread(original, 1, sizeof original, file);
	fclose(file);
	run(original, size);
	for (int i = 0; i < MUTATIONS; i++) {
		memcpy(changed, original, size);
		size_t now = size;
		for (uint64_t rounds = 1 + random_next(state) % 4; rounds > 0; rounds--)
			now = mutate(changed, now, state);
		run(changed, now);
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 1;
	uint64_t state = seed ? seed : 1;
	int files = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	DIR *folder = opendir(argv[1]);
	if (!folder) {
		fprintf(stderr, "%s: no corpus\n", argv[1]);
		return 1;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		char path[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
		if (replay_file(path, &state) == 0)
			files++;
	}
	closedir(folder);
	printf("seed %llu: %d inputs, %d mutations each\n", (unsigned long long)seed, files, MUTATIONS);
	return files ? 0 : 1;
}
