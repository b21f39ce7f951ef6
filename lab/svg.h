/* What the lab's drawings share: an SVG document readable on light and dark ground, numbers in no locale's spelling, and the
 * same bytes for the same drawing. Coordinates in pixels. */
#pragma once

#include <glib.h>

/* svg_new(width, height): opened, with the style sheet: classes h (heading), s (small), g (grid), b (bar), w (winner), i
 * (interval), l (curve). */
GString *svg_new(guint width, guint height);
/* svg_steal(svg): closed; frees `svg`. Caller frees. */
char *svg_steal(GString *svg);

/* svg_number(value, text): two decimals, a hundredth of a pixel; returns `text`. */
const char *svg_number(double value, char text[G_ASCII_DTOSTR_BUF_SIZE]);

/* svg_line(svg, class, x1 y1 x2 y2) */
void svg_line(GString *svg, const char *class, const double ends[4]);
/* svg_text(svg, attributes, x, y, text): `text` is made UTF-8 and escaped; `attributes` begin with a space, or are "". */
void svg_text(GString *svg, const char *attributes, double x, double y, const char *text);

/* Legends: so many entries side by side, then the next row. svg_legend_place(i, columns, at) adds to x and y in `at` where
 * the i-th is. */
#define SVG_LEGEND_ROW    18
#define SVG_LEGEND_COLUMN 180
void svg_legend_place(guint i, guint columns, double at[2]);

/* svg_colour(i, text): of the i-th of many: hues far apart for neighbours, and mid-tones that stand out from white and from
 * black alike. Returns `text`. */
#define SVG_COLOUR_MAX 24
const char *svg_colour(guint i, char text[SVG_COLOUR_MAX]);
