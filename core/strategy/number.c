#include "core/strategy/number.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Exact natural numbers. 2560 bits hold every product below: 10^409 (1359 bits) or a double's 2^1074, times 2^54 and
 * sixty-four digits. */
#define WORDS 80

struct big {
	uint32_t word[WORDS]; /* least significant first */
	int n;                /* words in use; the last is not 0 */
};

static void big_set(struct big *big, uint64_t value)
{
	big->n = 0;
	for (; value; value >>= 32)
		big->word[big->n++] = (uint32_t)value;
}

static void big_multiply_add(struct big *big, uint32_t by, uint32_t add)
{
	uint64_t carry = add;

	for (int i = 0; i < big->n; i++) {
		carry += (uint64_t)big->word[i] * by;
		big->word[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry) {
		assert(big->n < WORDS);
		big->word[big->n++] = (uint32_t)carry;
	}
}

static void big_scale(struct big *big, int power_of_ten)
{
	for (int i = 0; i < power_of_ten; i++)
		big_multiply_add(big, 10, 0);
}

static int big_bits(const struct big *big)
{
	return big->n ? 32 * big->n - __builtin_clz(big->word[big->n - 1]) : 0;
}

static void big_shift(struct big *big, int by)
{
	int words = by / 32, bits = by % 32;

	if (!big->n)
		return;
	assert(big->n + words + 1 <= WORDS);
	memmove(big->word + words, big->word, (size_t)big->n * sizeof(big->word[0]));
	memset(big->word, 0, (size_t)words * sizeof(big->word[0]));
	big->n += words;
	if (bits)
		big_multiply_add(big, (uint32_t)1 << bits, 0);
}

static int big_compare(const struct big *a, const struct big *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (int i = a->n - 1; i >= 0; i--)
		if (a->word[i] != b->word[i])
			return a->word[i] < b->word[i] ? -1 : 1;
	return 0;
}

/* a -= b, with a ≥ b. */
static void big_subtract(struct big *a, const struct big *b)
{
	int64_t borrow = 0;

	for (int i = 0; i < a->n; i++) {
		borrow += (int64_t)a->word[i] - (i < b->n ? b->word[i] : 0);
		a->word[i] = (uint32_t)borrow;
		borrow >>= 32;
	}
	assert(borrow == 0);
	while (a->n && a->word[a->n - 1] == 0)
		a->n--;
}

/* Whether the rest of a division, of `divisor`, rounds up: above half, or half with an odd quotient. */
static bool rounds_up(const struct big *rest, const struct big *divisor, bool odd)
{
	struct big twice = *rest;
	int compared;

	big_shift(&twice, 1);
	compared = big_compare(&twice, divisor);
	return compared > 0 || (compared == 0 && odd);
}

/* The double nearest to numerator ÷ denominator, both > 0. Both are used up. */
static double nearest_double(struct big *numerator, struct big *denominator)
{
	int exponent = big_bits(numerator) - big_bits(denominator) - 53; /* so that the quotient has 53 or 54 bits */
	uint64_t quotient = 0;

	for (;;) {
		struct big part = *numerator, divisor = *denominator;

		if (exponent < -1074)
			exponent = -1074;
		big_shift(exponent < 0 ? &part : &divisor, exponent < 0 ? -exponent : exponent);
		quotient = 0;
		for (int bit = 54; bit >= 0; bit--) {
			struct big shifted = divisor;

			if (big_bits(&divisor) + bit > 32 * (WORDS - 1))
				continue; /* larger than any numerator here */
			big_shift(&shifted, bit);
			if (big_compare(&part, &shifted) >= 0) {
				big_subtract(&part, &shifted);
				quotient |= (uint64_t)1 << bit;
			}
		}
		if (quotient >> 53) { /* one bit too many: once more, a bit coarser */
			exponent++;
			continue;
		}
		if (rounds_up(&part, &divisor, quotient & 1))
			quotient++;
		return ldexp((double)quotient, exponent);
	}
}

struct decimal {
	char digit[64]; /* 0 to 9, without leading zeros */
	int n;
	int exponent; /* value = 0.digits × 10^exponent */
};

/* The digits of "12.34" up to an exponent or the end; NULL when there are none or too many. */
static const char *parse_digits(const char *text, struct decimal *decimal)
{
	bool point = false, any = false;

	decimal->n = decimal->exponent = 0;
	for (; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
		if (*text == '.') {
			point = true;
			continue;
		}
		any = true;
		if (decimal->n || *text != '0') {
			if (decimal->n == (int)sizeof(decimal->digit))
				return NULL;
			decimal->digit[decimal->n++] = (char)(*text - '0');
			decimal->exponent += !point;
		} else if (point) {
			decimal->exponent--;
		}
		if (decimal->exponent < -10000)
			return NULL;
	}
	return any ? text : NULL;
}

static double decimal_value(const struct decimal *decimal)
{
	struct big numerator, denominator;
	int scale = decimal->exponent - decimal->n;

	if (decimal->n == 0 || decimal->exponent < -330)
		return 0;
	if (decimal->exponent > 310)
		return INFINITY;
	big_set(&numerator, 0);
	for (int i = 0; i < decimal->n; i++)
		if (numerator.n)
			big_multiply_add(&numerator, 10, (uint32_t)decimal->digit[i]);
		else
			big_set(&numerator, (uint64_t)decimal->digit[i]);
	big_set(&denominator, 1);
	big_scale(scale < 0 ? &denominator : &numerator, scale < 0 ? -scale : scale);
	return nearest_double(&numerator, &denominator);
}

bool strategy_number_parse(const char *text, double *value)
{
	struct decimal decimal;
	bool negative = *text == '-', down;
	int exponent = 0;
	double parsed;

	text = parse_digits(text + (*text == '-' || *text == '+'), &decimal);
	if (!text)
		return false;
	if (*text == 'e' || *text == 'E') {
		down = text[1] == '-';
		text += 1 + (text[1] == '-' || text[1] == '+');
		if (*text < '0' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9'; text++)
			exponent = exponent < 100000 ? exponent * 10 + *text - '0' : exponent;
		decimal.exponent += down ? -exponent : exponent;
	}
	if (*text)
		return false;
	parsed = decimal_value(&decimal);
	*value = negative && parsed > 0 ? -parsed : parsed;
	return true;
}

/* `value` > 0 rounded to `digits` significant digits, ties to even. */
static void decimal_from(double value, int digits, struct decimal *decimal)
{
	struct big rest, unit;
	int binary, power;
	uint64_t mantissa = (uint64_t)ldexp(frexp(value, &binary), 53);

	binary -= 53;
	big_set(&rest, mantissa);
	big_set(&unit, 1);
	big_shift(binary < 0 ? &unit : &rest, binary < 0 ? -binary : binary);
	/* rest ÷ unit = value. Bring it into [0.1, 1) by tens; the guess from the bits is at most a few too low. */
	power = (big_bits(&rest) - big_bits(&unit) - 1) * 30103 / 100000 - 1;
	big_scale(power < 0 ? &rest : &unit, power < 0 ? -power : power);
	for (; big_compare(&rest, &unit) >= 0; power++)
		big_multiply_add(&unit, 10, 0);
	decimal->n = digits;
	decimal->exponent = power;
	for (int i = 0; i < digits; i++) {
		big_multiply_add(&rest, 10, 0);
		for (decimal->digit[i] = 0; big_compare(&rest, &unit) >= 0; decimal->digit[i]++)
			big_subtract(&rest, &unit);
	}
	if (!rounds_up(&rest, &unit, decimal->digit[digits - 1] & 1))
		return;
	for (int i = digits - 1; i >= 0; i--) {
		if (++decimal->digit[i] < 10)
			return;
		decimal->digit[i] = 0;
	}
	decimal->digit[0] = 1; /* 9.99 became 10.0 */
	decimal->exponent++;
}

static size_t print_decimal(const struct decimal *decimal, char *text)
{
	int n = decimal->n, exponent = decimal->exponent;
	char *at = text;

	while (n > 1 && decimal->digit[n - 1] == 0)
		n--;
	if (exponent > 17 || exponent < -4) {
		int shown = exponent - 1, size = shown < 0 ? -shown : shown;

		*at++ = (char)('0' + decimal->digit[0]);
		if (n > 1)
			*at++ = '.';
		for (int i = 1; i < n; i++)
			*at++ = (char)('0' + decimal->digit[i]);
		*at++ = 'e';
		*at++ = shown < 0 ? '-' : '+';
		if (size >= 100)
			*at++ = (char)('0' + size / 100);
		*at++ = (char)('0' + size / 10 % 10);
		*at++ = (char)('0' + size % 10);
	} else {
		/* From the digit before the point on, which may be before the first. */
		for (int i = exponent < 1 ? exponent - 1 : 0; i < n || i < exponent; i++) {
			if (i == exponent)
				*at++ = '.';
			*at++ = (char)('0' + (i >= 0 && i < n ? decimal->digit[i] : 0));
		}
	}
	*at = '\0';
	return (size_t)(at - text);
}

size_t strategy_number_print(double value, char text[STRATEGY_NUMBER_TEXT_MAX])
{
	double size = fabs(value);
	struct decimal decimal;
	bool negative = value < 0;

	if (isnan(value) || isinf(value) || value == 0) {
		strcpy(text, isnan(value) ? "nan" : value == 0 ? "0" : negative ? "-inf" : "inf");
		return strlen(text);
	}
	for (int digits = 1; digits <= 17; digits++) {
		decimal_from(size, digits, &decimal);
		if (decimal_value(&decimal) == size)
			break;
	}
	if (negative)
		*text = '-';
	return negative + print_decimal(&decimal, text + negative);
}

double strategy_number_round(double value, int digits)
{
	struct decimal decimal;
	double size = fabs(value);

	if (value == 0 || isnan(value) || isinf(value))
		return value;
	assert(digits >= 1 && digits <= 17);
	decimal_from(size, digits, &decimal);
	return value < 0 ? -decimal_value(&decimal) : decimal_value(&decimal);
}

#define LN2_HIGH  0x1.62e42fefa2p-1 /* 40 bits: its multiples by an exponent are exact */
#define LN2_LOW   0x1.9ef35793c7673p-41
#define SQRT_HALF 0x1.6a09e667f3bcdp-1

double strategy_log(double x)
{
	int exponent;
	double mantissa = frexp(x, &exponent), s, square, sum = 0;

	if (mantissa < SQRT_HALF) {
		mantissa *= 2;
		exponent--;
	}
	s = (mantissa - 1) / (mantissa + 1);
	square = s * s;
	for (int k = 25; k >= 3; k -= 2)
		sum = (sum + 1.0 / k) * square;
	return exponent * LN2_HIGH + (2 * (s + s * sum) + exponent * LN2_LOW);
}

double strategy_exp(double x)
{
	int exponent = (int)floor(x / (LN2_HIGH + LN2_LOW) + 0.5);
	double rest = (x - exponent * LN2_HIGH) - exponent * LN2_LOW, sum = 1;

	for (int k = 18; k >= 1; k--)
		sum = 1 + sum * rest / k;
	return ldexp(sum, exponent);
}
