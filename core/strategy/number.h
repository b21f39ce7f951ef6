/* Numbers as text, and two functions of analysis, the same bit for bit on every machine and in every locale: no stdio, no
 * libm beyond what IEEE 754 defines exactly. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define STRATEGY_NUMBER_TEXT_MAX 32 /* holds every number printed, with its end */

/* strategy_number_parse(text, value): decimal, "-1.5e-3"; nothing before or after it, at most 64 significant digits. The
 * nearest double, ties to even; too large becomes ±infinity, "-0" becomes 0. false: malformed (nan, inf, hex too). */
bool strategy_number_parse(const char *text, double *value);

/* strategy_number_print(value, text): the fewest digits that read back the same, at most 17; exponents below -5 and from 17
 * on are written with 'e'. Not finite: "nan", "inf", "-inf". Returns the length. */
size_t strategy_number_print(double value, char text[STRATEGY_NUMBER_TEXT_MAX]);

/* strategy_number_round(value, digits): to 1 to 17 significant decimal digits. */
double strategy_number_round(double value, int digits);

/* strategy_log(x): the natural logarithm, within 4 units of the last place away from 1; x > 0. By atanh's series on
 * the mantissa, with additions, multiplications and divisions alone. strategy_exp(x): its inverse, |x| ≤ 700. */
double strategy_log(double x);
double strategy_exp(double x);
