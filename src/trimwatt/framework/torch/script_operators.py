"""The operators that a TorchScript file may call: arithmetic, shapes and layers.

None takes the name of a file, a device to write to, or a callable.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPERATORS = _words("""
    Bool Float FloatImplicit Int IntImplicit ScalarImplicit __and__ __contains__ __derive_index __getitem__ __is__
    __isnot__ __lshift__ __not__ __or__ __range_length __rshift__ __xor__ _cast_Float _convolution _convolution_mode
    _native_multi_head_attention _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned
    _scaled_dot_product_attention_math _shape_as_tensor _size_helper _softmax _transformer_encoder_layer_fwd
    _unsafe_view _weight_norm abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm addmv alias all
    alpha_dropout amax amin aminmax angle any append arange argmax argmin argsort as_strided as_tensor asin asinh
    atan atan2 atanh avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bilinear binary_cross_entropy bitwise_and
    bitwise_not bitwise_or bitwise_xor bmm broadcast_tensors broadcast_to bucketize cat cdist ceil celu
    channel_shuffle chunk clamp clamp_max clamp_min clone column_stack complex concat concatenate conj
    constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution
    copy copysign cos cosh cosine_similarity cross cumprod cumsum deg2rad detach diag diag_embed diagonal diff dim
    div divide dot dropout dropout2d dstack einsum elu embedding embedding_bag empty empty_like eq equal erf erfc
    erfinv exp exp2 expand expand_as expm1 eye feature_dropout fft_fft fft_ifft fft_irfft fft_rfft fill flatten flip
    floor floor_divide floordiv fmod frac frobenius_norm full full_like gather gcd ge gelu glu grid_sampler
    grid_sampler_2d group_norm gru gru_cell gt hardshrink hardsigmoid hardswish hardtanh heaviside hsplit hstack
    hypot im2col imag index index_add index_copy index_fill index_put index_select instance_norm is_floating_point
    isfinite isinf isnan item kthvalue layer_norm le leaky_relu len lerp lift_fresh linalg_inv linalg_norm
    linalg_solve linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp
    logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lstm lstm_cell lt masked_fill
    masked_scatter masked_select matmul max max_pool1d max_pool2d max_pool2d_with_indices max_pool3d maximum mean
    median meshgrid min minimum mish mm moveaxis movedim mse_loss mul multiply mv nan_to_num nanmean nansum narrow
    narrow_copy native_batch_norm native_layer_norm ne neg negative new_empty new_full new_ones new_zeros nextafter
    nonzero norm norm_except_dim numel one_hot ones ones_like outer pad pairwise_distance permute pixel_shuffle
    pixel_unshuffle polar positive pow prelu prod rad2deg ravel real reciprocal reflection_pad1d reflection_pad2d
    reflection_pad3d relu relu6 remainder repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d reshape reshape_as resolve_conj resolve_neg rms_norm rnn_relu rnn_relu_cell rnn_tanh
    rnn_tanh_cell roll rot90 round rsqrt rsub scalar_tensor scaled_dot_product_attention scatter scatter_add
    searchsorted select selu sigmoid sign silu sin sinc sinh size slice softmax softplus softshrink softsign sort
    split split_with_sizes sqrt square squeeze stack std std_mean stride sub subtract sum sum_to_size swapaxes t
    take take_along_dim tan tanh tensor tensor_split threshold tile to topk transpose trapz triangular_solve tril
    triu true_divide trunc type_as unbind unflatten unfold unsafe_chunk unsafe_split unsqueeze upsample_bicubic2d
    upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    upsample_trilinear3d var var_mean vector_norm view view_as view_as_complex view_as_real vsplit vstack warn where
    xlogy zero zeros zeros_like
""")
_PRIMITIVES = _words("""
    Constant ConstantChunk DictConstruct GetAttr If ListConstruct ListUnpack Loop NumToTensor RaiseException
    TupleConstruct TupleIndex TupleUnpack Uninitialized abs data device dim dtype is_cuda layout max min rangelist
    requires_grad shape unchecked_cast unchecked_unwrap_optional
""")
# what TorchScript's source calls without a module before it
PLAIN = _words("annotate bool float int isinstance len max min range unchecked_cast uninitialized")


def is_allowed(kind: str) -> bool:
    """Whether a kind of node, such as aten::relu, is on the list; `relu_` is the same in place."""
    space, _, name = kind.partition("::")
    if space == "prim":
        return name in _PRIMITIVES
    in_place = name.removesuffix("_") if not name.startswith("__") else name
    return space == "aten" and (name in _OPERATORS or in_place in _OPERATORS)
