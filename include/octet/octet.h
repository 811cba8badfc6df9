/* SPDX-License-Identifier: Apache-2.0 */
/* octet: quantizes neural networks to int8, proves the numerics and runs the result. This header includes the rest. */
#ifndef OCTET_OCTET_H
#define OCTET_OCTET_H

#include <octet/bench.h>
#include <octet/dataset.h>
#include <octet/diff.h>
#include <octet/engine.h>
#include <octet/error.h>
#include <octet/file.h>
#include <octet/graph.h>
#include <octet/improve.h>
#include <octet/quantize.h>
#include <octet/report.h>
#include <octet/sensitivity.h>
#include <octet/statistics.h>
#include <octet/suite.h>
#include <octet/tensor.h>
#include <octet/text.h>
#include <octet/train.h>
#include <octet/tune.h>

#endif
