#include "lab/svg.h"

/* Text follows the reader's preference. */
static const char style[] =
	"<style>text{font:12px "
	"system-ui,sans-serif;fill:#333}.h{font-weight:600;font-size:14px}.s{fill:#777;font-size:11px}"
	".b{fill:#4a8fd9}.w{fill:#e08a2e}.i{stroke:#777;stroke-width:1.5;fill:none}.g{stroke:#999;stroke-opacity:.35;"
	"fill:none}.l{stroke-width:1.8;fill:none;stroke-linejoin:round}"
	"@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#aaa}}</style>\n";

GString *svg_new(guint width, guint height)
{
	GString *svg = g_string_new(NULL);

	g_string_append_printf(svg,
			       "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
			       "viewBox=\"0 0 %u %u\" role=\"img\">\n%s",
			       width, height, width, height, style);
	return svg;
}

char *svg_steal(GString *svg)
{
	g_string_append(svg, "</svg>\n");
	return g_string_free(svg, FALSE);
}

const char *svg_number(double value, char text[G_ASCII_DTOSTR_BUF_SIZE])
{
	return g_ascii_formatd(text, G_ASCII_DTOSTR_BUF_SIZE, "%.2f", value);
}

void svg_line(GString *svg, const char *class, const double ends[4])
{
	char a[G_ASCII_DTOSTR_BUF_SIZE], b[G_ASCII_DTOSTR_BUF_SIZE];
	char c[G_ASCII_DTOSTR_BUF_SIZE], d[G_ASCII_DTOSTR_BUF_SIZE];

	g_string_append_printf(svg, "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n", class,
			       svg_number(ends[0], a), svg_number(ends[1], b), svg_number(ends[2], c),
			       svg_number(ends[3], d));
}

void svg_text(GString *svg, const char *attributes, double x, double y, const char *text)
{
	char a[G_ASCII_DTOSTR_BUF_SIZE], b[G_ASCII_DTOSTR_BUF_SIZE];
	g_autofree char *valid = g_utf8_make_valid(text, -1), *escaped = g_markup_escape_text(valid, -1);

	g_string_append_printf(svg, "<text x=\"%s\" y=\"%s\"%s>%s</text>\n", svg_number(x, a), svg_number(y, b),
			       attributes, escaped);
}

void svg_legend_place(guint i, guint columns, double at[2])
{
	guint row = i / columns;

	at[0] += (double)(i % columns) * SVG_LEGEND_COLUMN;
	at[1] += (double)row * SVG_LEGEND_ROW;
}

const char *svg_colour(guint i, char text[SVG_COLOUR_MAX])
{
	/* Steps of the golden angle never come close to each other; two in a row also differ in lightness. */
	static const guint lightness[] = { 52, 38, 66 };

	g_snprintf(text, SVG_COLOUR_MAX, "hsl(%u,62%%,%u%%)", (guint)(i * 13751 / 100) % 360,
		   lightness[i % G_N_ELEMENTS(lightness)]);
	return text;
}
