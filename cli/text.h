/* Facts that help and man pages share. Private to this folder. */
#pragma once

struct fact {
	const char *name, *doc;
};

/* Both ended by name NULL. */
extern const struct fact common_statuses[];
extern const struct fact environment[];
