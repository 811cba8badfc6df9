/* SPDX-License-Identifier: Apache-2.0 */
/* A graph once more. Conversion rewrites its graph, so whoever wants to go on with it converts a copy. */
#ifndef OCTET_GRAPH_COPY_H
#define OCTET_GRAPH_COPY_H

#include "graph/graph.h"

/* The same graph in memory of its own: names, order, indexes, and the names that passes will make, are graph's. Shared
   with graph, which must outlive the copy or its octet_graph_own: the data of constants, as most of a copy's are about
   to be replaced; of a calibrated graph its calibration, and of a training graph also every FakeQuantize's `trained`,
   which a copy only reads (nodes and groups there are graph's own; a copy finds watches by value->index). Nothing
   observes on a copy, and other graphs' calibration stays behind. The caller frees *copy. */
octet_status octet_graph_copy(octet_graph **copy, const octet_graph *graph, octet_error *err);

/* A copy after change; where that fails *copy is NULL. */
octet_status octet_graph_changed_copy(octet_graph **copy, const octet_graph *graph,
                                      octet_status (*change)(octet_graph *copy, octet_error *err), octet_error *err);

/* Copies the data of constants that is still shared: a graph that is trained no more stands alone then. */
octet_status octet_graph_own(octet_graph *copy, octet_error *err);

#endif
