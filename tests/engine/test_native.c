/* SPDX-License-Identifier: Apache-2.0 */
/* The native engine against the definition: a table of small networks, each with levels of many kinds. */
#include "native.h"

typedef struct native_case {
    const char *text;
    bool        elsewhere; /* other engines have a part in it */
} native_case;

/* ---- convolutions ---- */

static const native_case convolutions[] = {
    /* 1 x 1, channels of all kinds */
    { "in 16 9 9; y = Conv in w16,16,1,1 b16" },
    { "in 1 5 7; y = Conv in w3,1,1,1 b3" },
    { "in 2 5 7; y = Conv in w5,2,1,1 b5" },
    { "in 3 6 5; y = Conv in w8,3,1,1" },
    { "in 5 6 5; y = Conv in w10,5,1,1 b10" },
    { "in 17 6 5; y = Conv in w24,17,1,1 b24" },
    { "in 40 6 5; y = Conv in w64,40,1,1 b64" },
    { "in 64 4 4; y = Conv in w70,64,1,1 b70" },
    { "in 70 4 4; y = Conv in w1,70,1,1 b1" },
    { "in 64 1 1; y = Conv in w2,64,1,1 b2" },
    { "in 24 28 28; y = Conv in w96,24,1,1 b96; z = Relu y" },
    { "in 16 9 9; y = Conv in w16,16,1,1 b16 strides=2,2" },
    { "in 16 60 60; y = Conv in w24,16,1,1 b24 strides=2,2" },
    { "in 8 7 7; y = Conv in w8,8,1,1 b8 pads=1,1,1,1" },
    /* 3 x 3 */
    { "in 16 9 9; y = Conv in w16,16,3,3 b16 pads=1,1,1,1; z = Relu y" },
    { "in 16 9 9; y = Conv in w16,16,3,3 b16" },
    { "in 10 9 8; y = Conv in w17,10,3,3 pads=0,1,2,0" },
    { "in 3 9 9; y = Conv in w8,3,3,3 b8 pads=0,0,1,1 strides=2,2" },
    { "in 8 10 9; y = Conv in w8,8,3,3 b8 pads=1,1,1,1 strides=2,2" },
    { "in 8 11 13; y = Conv in w5,8,3,3 b5 pads=1,1,1,1 strides=3,2" },
    { "in 8 11 13; y = Conv in w5,8,3,3 b5 pads=1,0,1,2 strides=1,3" },
    { "in 16 20 60; y = Conv in w24,16,3,3 b24 pads=1,1,1,1 strides=2,2; z = Clip y a-0.4 a1.5" },
    { "in 3 64 64; y = Conv in w32,3,3,3 b32 pads=0,0,1,1 strides=2,2; z = Relu y" },
    { "in 8 9 90; y = Conv in w8,8,3,3 b8 pads=1,1,1,1 strides=3,3" },
    { "in 64 8 8; y = Conv in w64,64,3,3 b64 pads=1,1,1,1" },
    { "in 40 7 7; y = Conv in w70,40,3,3 b70 pads=1,1,1,1" },
    /* dilation, other kernels, one dimension */
    { "in 8 12 12; y = Conv in w8,8,3,3 b8 pads=2,2,2,2 dilations=2,2" },
    { "in 8 12 12; y = Conv in w8,8,3,3 b8 pads=2,1,2,1 dilations=2,1" },
    { "in 8 12 40; y = Conv in w8,8,3,3 b8 pads=1,3,1,3 dilations=1,3 strides=2,1" },
    { "in 8 12 70; y = Conv in w8,8,3,3 pads=2,2,2,2 dilations=2,2 strides=2,2" },
    { "in 3 20 20; y = Conv in w24,3,5,5 b24 pads=2,2,2,2" },
    { "in 1 28 28; y = Conv in w6,1,5,5 b6" },
    { "in 3 33 31; y = Conv in w16,3,7,7 b16 pads=3,3,3,3 strides=2,2" },
    { "in 3 64 64; y = Conv in w16,3,7,7 b16 pads=3,3,3,3 strides=2,2" },
    { "in 1 49 10; y = Conv in w64,1,10,4 b64 pads=4,1,5,1 strides=2,2; z = Relu y" },
    { "in 6 5 9; y = Conv in w7,6,1,3 b7 pads=0,1,0,1" },
    { "in 6 5 9; y = Conv in w7,6,3,1 b7 pads=1,0,1,0" },
    { "in 6 5 9; y = Conv in w7,6,2,2 b7" },
    { "in 8 6 6; y = Conv in w8,8,3,3 b8 pads=9,10,12,9" },
    { "in 8 6 6; y = Conv in w8,1,3,3 b8 pads=9,0,9,0 group=8" },
    { "in 10 30; y = Conv in w16,10,3 b16 pads=1,1" },
    { "in 10 30; y = Conv in w16,10,5 b16 pads=2,1 strides=2" },
    { "in 40 80; y = Conv in w16,40,3 b16 pads=4,4 dilations=4" },
    { "in 3 100; y = Conv in w16,3,9 b16 pads=4,4 strides=3; z = Relu y" },
    { "in 16 30; y = Conv in w16,1,3 b16 pads=1,1 group=16" },
    /* first layers of wide images */
    { "in 1 40 63; y = Conv in w8,1,3,3 b8 pads=1,1,1,1 strides=2,2" },
    { "in 4 9 61; y = Conv in w10,4,2,2 strides=2,2; z = Relu y" },
    { "in 3 9 62; y = Conv in w10,3,4,5 b10 pads=1,2,2,2 strides=2,2" },
    { "in 1 30 80; y = Conv in w10,1,7,6 b10 pads=3,0,2,5 strides=2,2" },
    { "in 3 9 62; y = Conv in w10,3,1,3 pads=0,1,0,1 strides=2,2; z = Conv y w8,10,3,3 pads=1,1,1,1" },
    { "in 3 9 62; y = Conv in w10,3,3,3 strides=2,2; z = Conv in w10,3,3,3 b10 strides=2,2; s = Add y z" },
    { "in 3 9 64; y = Conv in w10,3,3,3 b10 pads=0,0,1,1 strides=2,2; real y" },
    { "in 3 2 1500; y = Conv in w4,3,3,3 b4 pads=0,400,1,400 strides=2,2" },
    { "in 3 7 2000; y = Conv in w4,3,7,7 pads=6,6,6,6 strides=2,2" },
    /* groups */
    { "in 16 9 9; y = Conv in w24,8,3,3 b24 pads=1,1,1,1 group=2" },
    { "in 16 9 9; y = Conv in w16,4,1,1 b16 group=4" },
    { "in 40 9 9; y = Conv in w40,10,3,3 b40 pads=1,1,1,1 group=4 strides=2,2" },
    { "in 34 12 70; y = Conv in w6,17,3,3 b6 pads=1,1,1,1 group=2 strides=2,2" },
    { "in 6 9 9; y = Conv in w12,1,3,3 b12 pads=1,1,1,1 group=6" },
    /* depthwise */
    { "in 16 9 9; y = Conv in w16,1,3,3 b16 pads=1,1,1,1 group=16; z = Relu y" },
    { "in 17 9 9; y = Conv in w17,1,3,3 b17 pads=1,1,1,1 group=17 strides=2,2" },
    { "in 3 9 9; y = Conv in w3,1,3,3 b3 group=3" },
    { "in 70 9 9; y = Conv in w70,1,3,3 b70 pads=0,0,1,1 group=70 strides=2,2; z = Clip y a0 a1" },
    { "in 24 12 9; y = Conv in w24,1,5,5 b24 pads=2,2,2,2 group=24" },
    { "in 24 12 12; y = Conv in w24,1,3,3 b24 pads=2,2,2,2 group=24 dilations=2,2" },
    { "in 8 25 5; y = Conv in w8,1,25,5 group=8" },
    { "in 24 9 9; y = Conv in w24,1,1,1 b24 group=24" },
    { "in 64 30 30; y = Conv in w64,1,3,3 b64 pads=1,1,1,1 group=64 strides=2,2" },
    /* real results */
    { "in 8 9 9; y = Conv in w8,1,3,3 b8 pads=1,1,1,1 group=8; real y" },
    { "in 8 9 9; y = Conv in w10,8,3,3 b10 pads=1,1,1,1; z = Relu y; real z" },
    { "in 8 9 60; y = Conv in w10,8,3,3 b10 pads=1,1,1,1 strides=2,2; real y" },
    { "in 16 9 9; y = Conv in w12,4,1,1 b12 group=4; real y" },
    { "in 32 1 1; y = Conv in w12,32,1,1 b12; real y" },
    { "in 32 16; y = Conv in w27,32,3 b27; real y" },
    { "in 16 8 8; y = Conv in w27,16,3,3 b27 pads=1,1,1,1; z = DepthToSpace y blocksize=3; real y z" },
    { "in 16 8 8; y = Conv in w12,16,1,1 b12; z = DepthToSpace y blocksize=2 mode=CRD; real y z" },
};

/* ---- sums and products of two values ---- */

static const native_case pairs[] = {
    { "in 16 9 9; y = Conv in w16,16,3,3 b16 pads=1,1,1,1; s = Add y in; real y" },
    { "in 16 9 9; y = Conv in w16,16,3,3 b16 pads=1,1,1,1; s = Add in y; t = Relu s; real y" },
    { "in 10 9 9; y = Conv in w10,10,1,1 b10; r = Sigmoid in; s = Add y r; real y" },
    { "in 10 9 9; y = Conv in w10,10,1,1 b10; r = Conv in w10,10,1,1; s = Add y r; t = Relu s; real y" },
    { "in 10 9 9; y = Conv in w10,10,1,1 b10; r = Conv in w10,10,1,1; s = Add r y; real y" },
    { "in 10 9 9; y = Conv in w10,10,1,1 b10; r = Conv in w10,10,1,1; s = Add r y; real y r", true },
    { "in 17 9 9; y = Conv in w17,1,3,3 b17 pads=1,1,1,1 group=17; s = Add y in; t = Clip s a-0.3 a0.8; real y" },
    { "in 8 9 60; p = Conv in w8,8,1,1 strides=2,2; y = Conv in w8,8,3,3 b8 pads=1,1,1,1 strides=2,2; s = Add y p;"
      " z = Conv s w8,8,3,3 pads=1,1,1,1; real y" },
    { "in 8 9 9; p = MaxPool in kernel_shape=2,2 strides=2,2; y = Conv in w8,8,3,3 b8 pads=0,0,1,1 strides=2,2;"
      " q = Conv y w8,8,1,1; e = Conv y w8,8,3,3 pads=1,1,1,1; s = Add e q; real e" },
    { "in 20; y = Gemm in w20,20 b20 transB=1; s = Add y in; t = Relu s; real y" },
    { "in 16 9 9; a = Conv in w16,8,1,1 b16 group=2; s = Add a in; real a" },
    { "in 8 9 9; a = Conv in w8,8,3,3 b8 pads=1,1,1,1; b = Add a in; c = Conv b w8,8,3,3 pads=1,1,1,1; d = Add c b;"
      " e = Relu d; real a c" },
    { "in 16 9 9; y = Conv in w16,16,1,1; s = Add y in" },
    { "in 17 5 6; y = Sigmoid in; s = Add y in; t = Relu s" },
    { "in 3 5 6; y = Tanh in; s = Sub in y" },
    { "in 40 5 6; y = Tanh in; s = Sub y in; t = Clip s a-0.25 a0.5" },
    { "in 24 5 6; y = Sigmoid in; s = Mul y in" },
    { "in 2 5 6; y = Sigmoid in; s = Mul in y; t = Relu s" },
    { "in 24 5 6; g = GlobalAveragePool in; c = Conv g w24,24,1,1 b24; h = HardSigmoid c; s = Mul in h" },
    { "in 70 5 6; g = GlobalAveragePool in; h = Sigmoid g; s = Mul in h; t = Relu s" },
    { "in 24 5 6; g = GlobalMaxPool in; s = Add in g" },
    { "in 24 5 6; g = GlobalMaxPool in; s = Sub in g" },
    { "in 24 9; g = GlobalMaxPool in; s = Add in g" },
    { "in 30; y = Sigmoid in; s = Mul in y" },
    { "in 8 9 9; y = Conv in w8,8,3,3 pads=1,1,1,1; s = Add y y; t = Mul s s" },
    { "in 8 9 9; y = Conv in w8,8,3,3 pads=1,1,1,1; s = Add in y; z = Conv s w8,8,3,3 pads=1,1,1,1" },
    { "in 64 28 28; y = Sigmoid in; s = Add y in; z = Conv s w8,64,1,1" },
};

/* ---- pools, functions of one value ---- */

static const native_case single[] = {
    { "in 16 9 9; y = AveragePool in kernel_shape=3,3 pads=1,1,1,1" },
    { "in 17 9 9; y = AveragePool in kernel_shape=3,3 pads=1,1,1,1 count_include_pad=1 strides=2,2" },
    { "in 5 10 9; y = AveragePool in kernel_shape=2,2 strides=2,2 ceil_mode=1" },
    { "in 5 10 9; y = AveragePool in kernel_shape=3,2 pads=1,0,0,1 strides=2,2 ceil_mode=1 count_include_pad=1" },
    { "in 64 25 5; y = AveragePool in kernel_shape=25,5" },
    { "in 8 20; y = AveragePool in kernel_shape=3 pads=1,1 strides=2" },
    { "in 16 9 9; y = MaxPool in kernel_shape=3,3 pads=1,1,1,1 strides=2,2" },
    { "in 17 10 9; y = MaxPool in kernel_shape=2,2 strides=2,2 ceil_mode=1" },
    { "in 3 10 9; y = MaxPool in kernel_shape=3,3 dilations=2,2" },
    { "in 70 9 9; y = MaxPool in kernel_shape=5,5 pads=2,2,2,2; z = Conv y w8,70,3,3 pads=1,1,1,1" },
    { "in 8 20; y = MaxPool in kernel_shape=2 strides=2" },
    { "in 17 7 7; y = GlobalAveragePool in" },
    { "in 64 7 7; y = GlobalAveragePool in; z = Flatten y; s = Gemm z w10,64 b10 transB=1; real s" },
    { "in 17 7 7; y = GlobalMaxPool in" },
    { "in 17 7; y = GlobalAveragePool in" },
    { "in 17 7 6; y = ReduceMean in i2,3 keepdims=1" },
    { "in 17 7 6; y = ReduceMean in i2,3 keepdims=0; s = Gemm y w17,5 b5; real s" },
    { "in 17 7 6; y = ReduceMean in i-1,-2 keepdims=0" },
    { "in 17 7; y = ReduceMean in i2 keepdims=0" },
    { "in 17 7 6; y = Sigmoid in" },
    { "in 8 7 6; y = HardSwish in; z = Conv y w8,8,3,3 pads=1,1,1,1" },
    { "in 3 7 6; y = LeakyRelu in alpha=0.2" },
    { "in 40 3; y = Tanh in; z = HardSigmoid y alpha=0.3 beta=0.4" },
    { "in 17 7 6; y = Relu in" },
    { "in 17 7 6; y = Relu in; own y" },
    { "in 17 7 6; y = Clip in a-0.3 a0.4" },
    { "in 8 7 6; y = Clip in a0 a0.5; own y; z = Conv y w8,8,3,3 pads=1,1,1,1" },
    { "in 40; y = Relu in" },
    { "in 10; y = Softmax in axis=1" },
    { "in 10 6 5; y = Softmax in axis=1" },
    { "in 10 6 5; y = Softmax in axis=2; z = Conv y w8,10,3,3 pads=1,1,1,1" },
    { "in 10 6 5; y = Softmax in axis=-1" },
    { "in 10 6; y = Softmax in axis=2" },
    { "in 33; y = Gemm in w10,33 b10 transB=1; z = Softmax y axis=1; real y z" },
};

/* ---- matrix products ---- */

static const native_case products[] = {
    { "in 33; y = Gemm in w10,33 b10 transB=1; real y" },
    { "in 33; y = Gemm in w33,10 b10; real y" },
    { "in 33; y = Gemm in w33,10; z = Relu y; real z" },
    { "in 64; y = Gemm in w128,64 b128 transB=1; z = Relu y; s = Gemm z w8,128 b8 transB=1" },
    { "in 64; y = Gemm in w70,64 b70 transB=1 alpha=0.5 beta=2" },
    { "in 64; y = Gemm in w64,70 b70 alpha=1.7 beta=0.3; real y" },
    { "in 5; y = Gemm in w1,5 transB=1" },
    { "in 1; y = Gemm in w3,1 b3 transB=1" },
    { "in 40; y = MatMul in w40,30" },
    { "in 30; y = MatMul in w30,30; z = Add y in; real y" },
    { "in 40; y = MatMul in w40,30; real y" },
    { "in 6 3 4; y = Flatten in; z = Gemm y w10,72 b10 transB=1; real z" },
    { "in 6 7 5; c = Conv in w5,6,3,3 b5; f = Flatten c; y = Gemm f w10,75 b10 transB=1; real y" },
    { "in 6 7 5; c = Conv in w5,6,3,3 b5; f = Reshape c i-1,75; y = Gemm f w75,10 b10; real y" },
    { "in 6 7 5; p = MaxPool in kernel_shape=2,2 strides=2,2; f = Flatten p; y = Gemm f w16,36 b16 transB=1;"
      " r = Relu y; z = Gemm r w4,16 transB=1; real z" },
};

/* ---- concatenation ---- */

static const native_case concats[] = {
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1" },
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1; same a b y" },
    { "in 8 7 7; a = Conv in w40,8,1,1; b = Conv in w8,8,3,3 pads=1,1,1,1; y = Concat a b axis=1; same a b y;"
      " z = Conv y w8,48,3,3 pads=1,1,1,1" },
    { "in 8 7 7; a = Conv in w8,8,1,1; b = Conv in w40,8,3,3 pads=1,1,1,1; y = Concat a b axis=1; same a b y;"
      " z = Conv y w8,48,1,1; u = Conv b w8,40,3,3 pads=1,1,1,1; v = Conv a w8,8,5,5 pads=2,2,2,2; out u; out z" },
    { "in 3 7 7; a = Conv in w5,3,3,3 pads=1,1,1,1; y = Concat a in axis=1; same a y;"
      " z = Conv y w8,8,3,3 pads=1,1,1,1" },
    { "in 8 7 7; a = Sigmoid in; y = Concat a a axis=1; same a y" },
    { "in 8 7 7; a = Sigmoid in; y = Concat a a in axis=1" },
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1; same a b y; out a" },
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1; u = Conv a w8,8,3,3 pads=1,1,1,1;"
      " v = Conv b w8,8,5,5 pads=2,2,2,2; same a b y; out u; out v" },
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1; z = Concat y in axis=1; same a b y z" },
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; c = HardSwish in; y = Concat a b axis=1; z = Concat c y a axis=1;"
      " same a b c y z; w = Conv z w8,32,3,3 pads=1,1,1,1" },
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1; z = Concat b a axis=1; same a b y z; out z" },
    { "in 8 7 7; a = Sigmoid in; r = Reshape a i0,8,7,7; y = Concat a r axis=1; same a y" },
    { "in 8 7 7; a = Sigmoid in; r = Reshape a i0,8,49; s = Reshape r i0,8,7,7; y = Concat s a axis=1; same a y" },
    { "in 8 7 7; a = Sigmoid in; r = Slice a i0 i4 i1; y = Concat r a axis=1; same a y" },
    { "in 8 7 7; a = Sigmoid in; p = MaxPool a kernel_shape=3,3 pads=1,1,1,1; y = Concat a p axis=1; same a y;"
      " q = MaxPool y kernel_shape=5,5 pads=2,2,2,2; z = Concat y q axis=1; same a z" },
    { "in 3 7 7; a = HardSwish in; b = Tanh a; y = Concat b a in axis=1; same a b y" },
    { "in 2 7 7; c = Conv in w2,2,1,1; m = Mul c c; d = Conv c w8,2,1,1; y = Concat m d c axis=1; same c m d y" },
    { "in 8 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1; same a b y" },
    { "in 8; a = Sigmoid in; b = Tanh in; y = Concat a b axis=-1; same a b y" },
    { "in 8; a = Sigmoid in; b = Tanh in; y = Concat a b axis=1; z = Gemm y w5,16 transB=1" },
    { "in 8 7 7; a = Sigmoid in; b = Conv in w5,8,1,1; y = Concat a b axis=1; real y" },
    { "in 8 7 7; a = Conv in w8,8,3,3 pads=1,1,1,1; b = Add a in; y = Concat b in axis=1; same b y; real a" },
    { "in 24 7 7; a = Conv in w16,24,1,1; b = Conv a w16,16,3,3 pads=1,1,1,1; c = Conv b w16,16,3,3 pads=1,1,1,1;"
      " d = Conv c w16,1,3,3 pads=1,1,1,1 group=16; y = Concat a b c d axis=1; z = Conv y w24,64,1,1;"
      " same a b c d y" },
    { "in 8 7 7; a = Sigmoid in; b = Tanh in; y = Concat a b axis=2; z = Conv y w8,8,3,3 pads=1,1,1,1", true },
};

/* ---- moving ---- */

static const native_case moves[] = {
    { "in 16 6 5; c = Conv in w16,16,1,1; r = Reshape c i0,2,8,6,5; t = Transpose r perm=0,2,1,3,4;"
      " s = Reshape t i0,16,6,5; y = Conv s w16,1,3,3 pads=1,1,1,1 group=16" },
    { "in 16 6 5; c = Conv in w16,16,1,1; r = Reshape c i0,2,8,6,5; t = Transpose r perm=0,2,1,3,4;"
      " s = Reshape t i0,16,6,5; a,b = Split s i8,8 axis=1;"
      " y = Conv b w8,8,3,3 pads=1,1,1,1; z = Concat a y axis=1; same c y z" },
    { "in 16 6 5; c = Sigmoid in; r = Reshape c i0,8,2,6,5; t = Transpose r perm=1,0,2,3,4", true },
    { "in 16 6 5; c = Sigmoid in; r = Reshape c i0,8,2,30; t = Transpose r perm=0,2,1,3; a = Gather t s0 axis=1;"
      " b = Gather t s1 axis=1; u = Reshape a i0,8,6,5; v = Reshape b i0,8,6,5; y = Conv u w8,8,3,3 pads=1,1,1,1;"
      " z = Concat y v axis=1; same c y z" },
    { "in 16 6 5; c = Sigmoid in; y = Gather c i3,1,7,7,0,15,2,2 axis=1" },
    { "in 16 6 5; c = Sigmoid in; y = Gather c i5,0,3 axis=2; z = Conv y w8,16,3,3 pads=1,1,1,1" },
    { "in 16 6 5; c = Sigmoid in; y = Slice c i1,0 i6,5 i2,3 i2,3" },
    { "in 16 6 8; c = Conv in w16,16,1,1; s = SpaceToDepth c blocksize=2; y = Conv s w8,64,1,1" },
    { "in 16 3 1; c = Conv in w16,16,1,1; e = Expand c i1,1,3,4; y = Conv e w8,16,3,3 pads=1,1,1,1" },
    { "in 8 3 4; c = Conv in w8,8,1,1; t = Tile c i1,2,1,3; y = Conv t w8,16,3,3 pads=1,1,1,1" },
    { "in 8 3 4; c = Sigmoid in; y = Tile c i1,1,2,1" },
    { "in 16 6 5; c = Sigmoid in; y = Slice c i-1 i-7 i3 i-1; z = Conv y w8,16,1,1" },
    { "in 16 6 5; c = Sigmoid in; y = Slice c i2 i13 i1" },
    { "in 16 6 5; c = Sigmoid in; p = Pad c i0,0,1,2,0,0,2,1; y = Conv p w8,16,3,3" },
    { "in 6 6 5; c = Sigmoid in; p = Pad c i0,3,0,0,0,5,0,0; y = Conv p w8,14,1,1" },
    { "in 6 6 5; c = Sigmoid in; p = Pad c i0,1,1,1,0,0,0,0; y = Conv p w8,7,3,3 pads=1,1,1,1" },
    { "in 6 6 5; c = Tanh in; p = Pad c i0,0,1,2,0,0,2,1 a0; y = MaxPool p kernel_shape=2,2" },
    { "in 20 6 5; c = Tanh in; p = Pad c i0,0,1,2,0,12,0,-1; y = Sigmoid p" },
    { "in 20 6 5; c = Tanh in; p = Pad c i0,0,2,2,0,0,2,2 mode=reflect; y = Conv p w8,20,3,3" },
    { "in 16 6 5; c = Sigmoid in; y = DepthToSpace c blocksize=2; z = Conv y w8,4,3,3 pads=1,1,1,1" },
    { "in 16 6 5; c = Sigmoid in; y = DepthToSpace c blocksize=2 mode=CRD" },
    { "in 16 6 5; c = Sigmoid in; y = Resize c - f1,1,2,2 mode=nearest coordinate_transformation_mode=asymmetric"
      " nearest_mode=floor; z = Conv y w8,16,3,3 pads=1,1,1,1" },
    { "in 16 6 5; c = Sigmoid in; y = Resize c - f1,1,2,2 mode=nearest; z = Conv in w16,16,1,1;"
      " u = Resize z - f1,1,2,2 mode=nearest; v = Add y u; own u y" },
    { "in 16 6 5; c = Sigmoid in; y = Resize c - f1,1,0.5,1.4 mode=nearest; own y" },
    { "in 16 6 5; c = Sigmoid in; t = Transpose c perm=0,2,3,1; y = Reshape t i0,480; z = Gemm y w4,480 transB=1" },
    { "in 16 6 5; c = Sigmoid in; y = Transpose c perm=0,2,3,1; out y" },
    { "in 16 6 5; c = Sigmoid in; y = Transpose c perm=0,1,3,2; z = Conv y w4,16,3,3 pads=1,1,1,1" },
    { "in 16 6 5; c = Sigmoid in; y = Flatten c; z = Reshape y i0,5,6,16; w = Conv z w4,5,3,3" },
    { "in 16 1 1; c = Conv in w16,16,1,1; f = Flatten c; g = Gemm f w16,16 transB=1; r = Reshape g i0,16,1,1;"
      " y = Conv r w16,16,1,1; z = Squeeze y i2,3; u = Unsqueeze z i2" },
    { "in 16 6 5; c = Sigmoid in; a,b,d = Split c i3,5,8 axis=1; x = Conv a w4,3,3,3 pads=1,1,1,1;"
      " y = Conv d w4,8,1,1; z = Add x y; out b" },
    { "in 16 6 5; c = Sigmoid in; a,b = Split c i2,4 axis=2; y = Concat b a axis=2", true },
    { "in 16 6 5; r = Reshape in i0,16,30; c = Conv r w8,16,3 pads=1,1; s = Reshape c i0,8,6,5" },
    { "in 30 8; t = Transpose in perm=0,2,1; y = Conv t w8,8,3 pads=1,1; z = Transpose y perm=0,2,1" },
    { "in 6 5 16; t = Transpose in perm=0,3,1,2; y = Conv t w8,16,3,3 pads=1,1,1,1; p = MaxPool y kernel_shape=2,2"
      " strides=2,2; u = Transpose p perm=0,2,3,1; f = Reshape u i0,48; z = Gemm f w48,10 b10; real z" },
};

/* ---- ConvTranspose, and three dimensions of space ---- */

static const native_case turned[] = {
    { "in 8 7 6; y = ConvTranspose in w8,12,2,2 b12 strides=2,2; z = Relu y" },
    { "in 3 5 6; y = ConvTranspose in w3,16,4,4 b16 strides=2,2 pads=1,1,1,1; z = Conv y w8,16,3,3 pads=1,1,1,1" },
    { "in 17 5 4; y = ConvTranspose in w17,5,3,3 strides=2,2 pads=1,1,1,1 output_padding=1,1; real y" },
    { "in 8 5 4; c = Conv in w8,8,3,3 pads=1,1,1,1; y = ConvTranspose c w8,8,3,3 b8 pads=1,1,1,1; z = Add y c" },
    { "in 8 5 4; y = ConvTranspose in w8,8,1,3 strides=3,2 pads=0,2,0,0; z = Tanh y" },
    { "in 4 6 5; y = ConvTranspose in w4,20,3,2 strides=2,3 dilations=2,1 b20" },
    { "in 4 6 5; y = ConvTranspose in w4,7,3,3 strides=1,1 dilations=3,2 pads=2,1,0,3" },
    { "in 16 9; y = ConvTranspose in w16,8,5 strides=3 pads=1,2; z = Conv y w4,8,3 pads=1,1" },
    { "in 8 4 4; y = ConvTranspose in w8,4,2,2 strides=2,2 group=2", true },
    { "in 3 5 6 7; y = Conv in w8,3,3,3,3 b8 pads=1,1,1,1,1,1; z = Relu y; u = Conv z w12,8,1,1,1; real u" },
    { "in 4 6 5 6; y = Conv in w16,4,3,2,3 strides=2,1,2 pads=1,0,1,0,1,2; z = Tanh y; u = Conv z w5,16,2,2,2" },
    { "in 16 4 5 4; y = Conv in w20,16,2,3,1 dilations=2,1,1 b20" },
    { "in 6 3 4 3; y = ConvTranspose in w6,9,2,2,3 strides=2,2,1 b9; z = Sigmoid y" },
};

/* ---- a constant number beside a value ---- */

static const native_case numbers[] = {
    { "in 8 7 7; y = Mul in w1; z = Conv y w8,8,3,3 pads=1,1,1,1" },
    { "in 8 7 7; y = Add w1,1,1,1 in; z = Sub in w1,1; u = Mul y z" },
    { "in 7 12; a = MatMul in w12,20; y = Sub w1,1 a; z = Tanh y" },
    { "in 12; y = Sub in w1; z = Add w1 y" },
};

/* ---- rows: sequences, whose last dimension is one row of a matrix ---- */

static const native_case sequences[] = {
    { "in 7 12; y = MatMul in w12,20" },
    { "in 7 12; y = MatMul in w12,20 b20; z = Relu y" },
    { "in 7 12; y = MatMul in w12,20; real y" },
    { "in 7 12; y = MatMul in w12,12; z = Add y in; real y" },
    { "in 7 12; y = MatMul in w12,12; z = Add in y; real y; u = Sigmoid z; v = MatMul u w12,5" },
    { "in 7 16; y = MatMul in w16,20 b20; g = Gelu y; z = MatMul g w20,16; u = Add z in; v = Mul u z" },
    { "in 3 5 12; y = MatMul in w12,20; z = Relu y; u = MatMul z w20,9; v = Conv z w4,3,3,3 pads=1,1,1,1; out u" },
    { "in 7 12; y = MatMul in w12,20; z = Softmax y axis=-1; u = Softmax y axis=1; out z" },
    { "in 8 6 5; c = Conv in w16,8,3,3 pads=1,1,1,1; r = Reshape c i0,16,30; t = Transpose r perm=0,2,1;"
      " y = MatMul t w16,16 b16; z = Tanh t; u = Add z y; w = MatMul t w16,20; out w" },
    { "in 7 12; y = MatMul in w12,24; r = Reshape y i0,7,2,12; t = Transpose r perm=0,2,1,3; a = Tanh t;"
      " b = Transpose a perm=0,2,1,3; c = Reshape b i0,7,24; z = MatMul c w24,10; u = Transpose a perm=0,1,3,2;"
      " v = Sigmoid u; out v" },
    { "in 7 12; y = MatMul in w12,36; r = Reshape y i0,7,3,2,6; t = Transpose r perm=2,0,3,1,4; a = Gather t s0;"
      " b = Gather t s2; c = Add a b; d = Tanh a; out d" },
    { "in 9 17; y = MatMul in w17,16; p = Pad y i0,1,0,0,0,3; z = Tanh p; q = Slice y i2 i9 i2 i2; w = Sigmoid q;"
      " out z" },
    { "in 4 4 8; y = MatMul in w8,12; r = Reshape y i0,16,12; t = Transpose r perm=0,2,1; z = Reshape t i0,12,4,4;"
      " u = Conv z w8,12,3,3 pads=1,1,1,1; v = Tanh u" },
};

/* ---- products of two activations, norms of rows ---- */

static const native_case attentions[] = {
    { "in 7 12; a = MatMul in w12,20; b = MatMul in w12,20; t = Transpose b perm=0,2,1; y = MatMul a t" },
    { "in 7 12; a = Tanh in; t = Transpose a perm=0,2,1; y = MatMul t a; real y" },
    { "in 3 5 12; b = Reshape in i0,3,12,5; y = MatMul in b; z = Softmax y axis=-1; u = MatMul z in" },
    { "in 9 36; q = MatMul in w36,108; r = Reshape q i0,9,3,4,9; t = Transpose r perm=2,0,3,1,4; a = Gather t s0;"
      " b = Gather t s1; v = Gather t s2; k = Transpose b perm=0,1,3,2; p = MatMul a k; s = Softmax p axis=3;"
      " c = MatMul s v; m = Transpose c perm=0,2,1,3; f = Reshape m i0,9,36; y = MatMul f w36,36; z = Add y in;"
      " real y" },
    { "in 1 5 12; b = Reshape in i0,3,4,5; y = MatMul b in; v = Tanh y; t = Transpose in perm=0,1,3,2;"
      " d = Reshape in i0,3,5,4; z = MatMul t d; out v" },
    { "in 4 33 70; a = Sigmoid in; t = Transpose a perm=0,1,3,2; y = MatMul a t; z = MatMul t a; real z; out y" },
    { "in 2 40 3; t = Transpose in perm=0,1,3,2; a = Sigmoid t; y = MatMul in a" },
    { "in 5 1; t = Transpose in perm=0,2,1; y = MatMul in t; z = MatMul t in; out y" },
    { "in 4 96 64; t = Transpose in perm=0,1,3,2; y = MatMul in t; s = Softmax y axis=-1; z = MatMul s in" },
    { "in 7 12; y = LayerNormalization in b12 b12; z = MatMul y w12,5" },
    { "in 7 48; a = MatMul in w48,33; y = LayerNormalization a b33 axis=2; z = Tanh y" },
    { "in 5 3 17; y = RMSNormalization in b17 epsilon=0.01; z = LayerNormalization y b17 b17; u = Add y z" },
    { "in 40; y = LayerNormalization in b40 b40; z = Gemm y w8,40 transB=1" },
    { "in 5 3 17; y = LayerNormalization in b17 axis=-2", true },
};

static trial_count total;

static void check_cases(const native_case *cases, size_t count)
{
    const int64_t before = total.failures;
    for (size_t i = 0; i < count; i++)
        for (size_t style = 0; style < STYLES; style++) {
            small_net net;
            if (is_quick() && (i % 3 != 0 || style != i / 3 % STYLES)) continue;
            make_net(&net, cases[i].text, &level_styles[style], 100 * i + style);
            check_net(&net, cases[i].text, style % 2 ? 3 : 1, cases[i].elsewhere, &total);
            octet_graph_free(net.graph);
        }
    print_message("%zu networks: %lld runs and %lld values compared, %lld steps were shared by threads\n", count,
                  (long long)total.runs, (long long)total.values, (long long)total.shared_steps);
    assert_int_equal(total.failures, before);
}

#define CHECK(name)                               \
    static void test_##name(void **state)         \
    {                                             \
        (void)state;                              \
        check_cases(name, sizeof name / sizeof *name); \
    }

CHECK(convolutions)
CHECK(pairs)
CHECK(single)
CHECK(products)
CHECK(concats)
CHECK(moves)
CHECK(turned)
CHECK(numbers)
CHECK(sequences)
CHECK(attentions)

/* The small networks have few steps that are worth a second thread, but some. */
static void test_threads_were_used(void **state)
{
    (void)state;
    assert_true(is_quick() || total.shared_steps > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions), cmocka_unit_test(test_pairs),   cmocka_unit_test(test_single),
        cmocka_unit_test(test_products),     cmocka_unit_test(test_concats), cmocka_unit_test(test_moves),
        cmocka_unit_test(test_turned),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_sequences), cmocka_unit_test(test_attentions),
        cmocka_unit_test(test_threads_were_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
