/* SPDX-License-Identifier: Apache-2.0 */
/* A map from names to objects: open addressing, in the graph's arena. */
#ifndef OCTET_GRAPH_NAMES_H
#define OCTET_GRAPH_NAMES_H

#include "base/arena.h"

#include <stdbool.h>

typedef struct octet_names octet_names;

octet_names *octet_names_new(octet_arena *arena);
void        *octet_names_find(const octet_names *names, const char *name);

/* The name must not be in the map yet. It is not copied. False when memory is out. */
bool octet_names_add(octet_names *names, const char *name, void *object);
void octet_names_remove(octet_names *names, const char *name);

/* The same names, each still to be added again: names made from taken ones come out as they would from `names`. NULL
   when memory is out. */
octet_names *octet_names_copy(const octet_names *names, octet_arena *arena);

/* near itself if free, else "near_1", "near_2", ... the first that is free. NULL when memory is out. */
const char *octet_names_free(octet_names *names, const char *near);

#endif
