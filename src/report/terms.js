
// ---- terms, and the beginning ----

const TERMS = [
  ['SQNR, dB', 'Signal to quantization noise, 20 log10(|float| / |float \u2212 int8|) over all samples. 20 dB: the error is a tenth ' +
    'of the signal; 40 dB: a hundredth. Below 20 dB it is set in amber, below 10 dB in red.'],
  ['Local', 'The error that a layer makes itself: its integer rule, fed the float network\u2019s own values.'],
  ['Accumulated', 'The error of a layer\u2019s result as it stands in the int8 network, all errors before it included.'],
  ['Output', 'SQNR of the network\u2019s output when only this layer is quantized.'],
  ['Gain', 'What the output\u2019s SQNR gains when only this layer stays in float.'],
  ['Weights', 'SQNR of a layer\u2019s weights after rounding.'],
  ['Cosine', 'Cosine of the angle between float\u2019s and int8\u2019s result; 1 where they point the same way.'],
  ['Range', 'The real numbers that the lowest and the highest level stand for. What lies beyond saturates, that is, takes the nearest end.'],
  ['Saturates', 'Numbers of the float network beyond the range by more than half a step, as a share of all that were seen.'],
  ['Histogram', 'Numbers per bin, on a logarithmic scale, so that tails show. Orange: the range, and what lies beyond. Weights are ' +
    'drawn in levels, each channel divided by its scale.'],
  ['Channel bars', 'From the lowest to the highest number of each channel; neighbours share a bar where there are more than 64.'],
  ['Dead channel', 'Always 0 on these samples (weights: all 0), or below 2\u207b\u00b2\u2074 of what the farthest channel reaches.'],
  ['Outlier channel', `Reaches at least ${data.outlier} times as far from 0 as the channel in the middle: a range that covers it leaves ` +
    'few levels to the others.'],
  ['Option', 'What to give to octet quantize to mend the layer, or to keep it in float. * stands for characters that cannot be typed.'],
  ['Time', 'Median on the machine that made this page. Layers are timed in runs of their own; a layer that is computed within another ' +
    'has no time of its own.'],
];

showSummary();
showWorst();
showDrift();
showTable();
byId('terms').append(...TERMS.map(([term, text]) => [el('dt', {}, term), el('dd', {}, text)]).flat());
byId('inputs').append(...data.inputs.filter(i => i.values).map(i => el('div', {}, el('p', {}, name(i.values.name)), valuesFigure(i))));
byId('inputs-section').hidden = !data.inputs.some(i => i.values);
