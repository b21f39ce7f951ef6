/* A ranking as an SVG drawing: bars of the efficiency with intervals, and performance against availability. Readable on
 * light and dark ground; the same bytes for the same ranking. */
#pragma once

#include "lab/select.h"

/* lab_plot_svg(ranking): the document. Caller frees. */
char *lab_plot_svg(const struct lab_ranking *ranking);
