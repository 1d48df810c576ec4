"""Torch modules: front ends, blocks, the papers' networks and losses."""

from skaudio.nn.augment import add_noise, mask, mix_waveforms
from skaudio.nn.blocks import (
    AttentionPooling,
    ClassificationHead,
    ConvBlock,
    Dropout,
    OneBranch,
)
from skaudio.nn.coala import CoalaAudioEncoder, CoalaCNN, CoalaTagger
from skaudio.nn.coala_autoencoders import (
    Coala,
    CoalaAudioDecoder,
    CoalaTagDecoder,
    CoalaTagEncoder,
)
from skaudio.nn.coala_input import CoalaInput
from skaudio.nn.constant_q import ConstantQ
from skaudio.nn.contrast import CoalaLoss, generalized_kl, nt_xent, paired_contrast
from skaudio.nn.crnn import CRNN1d, CRNN2d, SingleViewCRNN
from skaudio.nn.filterbanks import (
    erb_frequencies,
    gammatone_filterbank,
    mel_filterbank,
)
from skaudio.nn.folding import folded
from skaudio.nn.frontends import (
    GammatoneSpectrogram,
    MelSpectrogram,
    PowerSpectrogram,
    compress,
)
from skaudio.nn.layers import layer_outputs
from skaudio.nn.losses import (
    BranchCrossEntropy,
    BranchTagEntropy,
    SoftCrossEntropy,
    blend,
)
from skaudio.nn.mean_pool import MeanPool
from skaudio.nn.mfcc import MFCC
from skaudio.nn.mobilenet import ConvNorm, MobileNet
from skaudio.nn.multiview import MultiViewCRNN
from skaudio.nn.own_network import OwnNetwork
from skaudio.nn.samplecnn import FrameLevelCNN, SampleBlock, SampleCNN
from skaudio.nn.selfnormalizing import AlphaDropout, SelfNormalizingNet
from skaudio.nn.softmax_autoencoder import (
    Autoencoder,
    SoftmaxAutoencoder,
    SquaredError,
    TwoLayerNet,
)
from skaudio.nn.spectrogram import Spectrogram
from skaudio.nn.spectrogram_cnn import SpectrogramCNN
from skaudio.nn.swishnet import GatedConv1d, GatedPair, SwishNet
from skaudio.nn.taggers import CRNNTagger, FCNTagger, MusiCNN

__all__ = [
    "MFCC",
    "AlphaDropout",
    "AttentionPooling",
    "Autoencoder",
    "BranchCrossEntropy",
    "BranchTagEntropy",
    "CRNN1d",
    "CRNN2d",
    "CRNNTagger",
    "ClassificationHead",
    "Coala",
    "CoalaAudioDecoder",
    "CoalaAudioEncoder",
    "CoalaCNN",
    "CoalaInput",
    "CoalaLoss",
    "CoalaTagDecoder",
    "CoalaTagEncoder",
    "CoalaTagger",
    "ConstantQ",
    "ConvBlock",
    "ConvNorm",
    "Dropout",
    "FCNTagger",
    "FrameLevelCNN",
    "GammatoneSpectrogram",
    "GatedConv1d",
    "GatedPair",
    "MeanPool",
    "MelSpectrogram",
    "MobileNet",
    "MultiViewCRNN",
    "MusiCNN",
    "OneBranch",
    "OwnNetwork",
    "PowerSpectrogram",
    "SampleBlock",
    "SampleCNN",
    "SelfNormalizingNet",
    "SingleViewCRNN",
    "SoftCrossEntropy",
    "SoftmaxAutoencoder",
    "Spectrogram",
    "SpectrogramCNN",
    "SquaredError",
    "SwishNet",
    "TwoLayerNet",
    "add_noise",
    "blend",
    "compress",
    "erb_frequencies",
    "folded",
    "gammatone_filterbank",
    "generalized_kl",
    "layer_outputs",
    "mask",
    "mel_filterbank",
    "mix_waveforms",
    "nt_xent",
    "paired_contrast",
]
