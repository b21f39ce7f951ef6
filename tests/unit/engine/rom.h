/* A tiny guest: a 64 KiB firmware image that writes a line to the first serial port and then does one thing. Boots in
 * microseconds under any accelerator, needs no kernel. For the tests of engine qemu and the benchmarks. Libc only. */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum rom_then {
	ROM_HALT,     /* wait for ever */
	ROM_REPEAT,   /* write the line again and again */
	ROM_ECHO,     /* send back what comes in on the serial port */
	ROM_PANIC,    /* tell the host, by pvpanic, that it crashed */
	ROM_POWEROFF, /* power off by ACPI */
	ROM_BUTTON,   /* wait for the ACPI power button, then power off */
};

#define ROM_BYTES    65536u
#define ROM_LINE_AT  0x800u
#define ROM_LINE_MAX 1024u
#define ROM_RESET_AT 0xfff0u

struct rom {
	uint8_t image[ROM_BYTES];
	size_t at;
};

static inline void rom_code(struct rom *rom, const char *code, size_t bytes)
{
	memcpy(rom->image + rom->at, code, bytes);
	rom->at += bytes;
}

#define ROM_CODE(rom, code) rom_code(rom, code, sizeof(code) - 1)

/* q35's power management registers at I/O port 0x600: firmware has to put them there. */
static inline void rom_code_pm(struct rom *rom)
{
	ROM_CODE(rom, "\xba\xf8\x0c\x66\xb8\x40\xf8\x00\x80\x66\xef" /* address 00:1f.0 register 0x40 */
		      "\xba\xfc\x0c\x66\xb8\x01\x06\x00\x00\x66\xef" /* PMBASE = 0x600 */
		      "\xba\xf8\x0c\x66\xb8\x44\xf8\x00\x80\x66\xef" /* register 0x44 */
		      "\xba\xfc\x0c\xb0\x80\xee");                   /* ACPI_CNTL: enable */
}

static inline void rom_code_then(struct rom *rom, enum rom_then then)
{
	if (then == ROM_REPEAT)
		ROM_CODE(rom, "\xe9\x00\x00"); /* jmp: its target is filled in by rom_build() */
	if (then == ROM_ECHO)
		ROM_CODE(rom, "\xba\xfd\x03\xec\xa8\x01\x74\xf8" /* wait for LSR.DR */
			      "\xba\xf8\x03\xec\xee\xeb\xf1");   /* in, out, again */
	if (then == ROM_PANIC)
		ROM_CODE(rom, "\xba\x05\x05\xb0\x01\xee");
	if (then == ROM_POWEROFF || then == ROM_BUTTON)
		rom_code_pm(rom);
	if (then == ROM_BUTTON)
		ROM_CODE(rom, "\xba\x02\x06\xb8\x00\x01\xef"           /* PM1_EN = power button */
			      "\xba\x00\x06\xed\xa9\x00\x01\x74\xf7"); /* wait for PM1_STS.PWRBTN */
	if (then == ROM_POWEROFF || then == ROM_BUTTON)
		ROM_CODE(rom, "\xba\x04\x06\xb8\x00\x20\xef"); /* PM1_CNT: S5, sleep enable */
	ROM_CODE(rom, "\xf4\xeb\xfd");                         /* hlt, for ever */
}

/* rom_build(rom, line, then): `line` is written as it is (end it with \n), at most ROM_LINE_MAX bytes. */
static inline void rom_build(struct rom *rom, const char *line, enum rom_then then)
{
	size_t bytes = strnlen(line, ROM_LINE_MAX);

	memset(rom->image, 0xff, sizeof(rom->image));
	rom->at = 0;
	ROM_CODE(rom, "\xfa\xfc\xbe\x00\x08"                               /* cli, cld, mov si, ROM_LINE_AT */
		      "\xba\xfd\x03\xec\xa8\x20\x74\xf8"                   /* wait for LSR.THRE */
		      "\xba\xf8\x03\x2e\xac\x08\xc0\x74\x03\xee\xeb\xec"); /* lodsb cs:, until 0: out */
	size_t loop = rom->at;
	rom_code_then(rom, then);
	if (then == ROM_REPEAT) {
		uint16_t back = (uint16_t)(0u - (loop + 3));
		memcpy(rom->image + loop + 1, &back, sizeof(back));
	}
	memcpy(rom->image + ROM_LINE_AT, line, bytes);
	rom->image[ROM_LINE_AT + bytes] = 0;
	memcpy(rom->image + ROM_RESET_AT, "\xea\x00\x00\x00\xf0", 5); /* jmp f000:0000 */
}

/* rom_write(path, line, then): a world-readable file (QEMU runs under a uid of its own). 0, or -1 with errno. */
static inline int rom_write(const char *path, const char *line, enum rom_then then)
{
	static struct rom rom;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -1;
	rom_build(&rom, line, then);
	int ok = fchmod(fd, 0644) == 0 && write(fd, rom.image, sizeof(rom.image)) == (ssize_t)sizeof(rom.image);
	return close(fd) == 0 && ok ? 0 : -1;
}
