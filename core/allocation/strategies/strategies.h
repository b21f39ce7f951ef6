/* Every strategy of the family, one file each, named after it. The list is in core/allocation/family.c. */
#pragma once

#include "core/allocation/family.h"
