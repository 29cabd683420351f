"""The model families that are shipped. Adding one is a file with its model, a class of options, and one entry here."""

from __future__ import annotations

from augrec.artefacts.registry import rebuild
from recsys.models.options.afm import AfmOptions
from recsys.models.options.alpharec import AlphaRecOptions
from recsys.models.options.autocf import AutoCfOptions
from recsys.models.options.autoint import AutoIntOptions
from recsys.models.options.bert4rec import Bert4RecOptions
from recsys.models.options.bias import BiasOptions
from recsys.models.options.blend import BlendOptions
from recsys.models.options.cl4srec import Cl4SrecOptions
from recsys.models.options.clcrec import ClcrecOptions
from recsys.models.options.dccf import DccfOptions
from recsys.models.options.dcn import DcnOptions
from recsys.models.options.deepfm import DeepFmOptions
from recsys.models.options.ease import EaseOptions
from recsys.models.options.ease_text import EaseTextOptions
from recsys.models.options.families import FAMILIES, Family, ModelOptions
from recsys.models.options.gccf import GccfOptions
from recsys.models.options.grcn import GrcnOptions
from recsys.models.options.item_knn import ItemKnnOptions
from recsys.models.options.l3ae import L3aeOptions
from recsys.models.options.lattice import LatticeOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.llmrec import LLMRecOptions
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.models.options.mf_bpr_sgd import MfBprSgdOptions
from recsys.models.options.micro import MicroOptions
from recsys.models.options.mixgcf import MixGcfOptions
from recsys.models.options.mmgcn import MmgcnOptions
from recsys.models.options.mmssl import MmsslOptions
from recsys.models.options.nfm import NfmOptions
from recsys.models.options.ngcf import NgcfOptions
from recsys.models.options.popularity import PopularityOptions
from recsys.models.options.rp3beta import Rp3betaOptions
from recsys.models.options.sasrec import SasRecOptions
from recsys.models.options.sgl import SglOptions
from recsys.models.options.simgcl import SimGclOptions
from recsys.models.options.tagcf import TagcfOptions
from recsys.models.options.text_cosine import TextCosineOptions
from recsys.models.options.text_gcn import TextGcnOptions
from recsys.models.options.tuned import TunedOptions
from recsys.models.options.vbpr import VbprOptions
from recsys.models.options.xdeepfm import XDeepFmOptions

__all__ = ["FAMILIES", "Family", "ModelOptions"]

SHIPPED = (
    Family(PopularityOptions, "recsys.models.popularity:Popularity", "general", "Popularity", "the standard baseline"),
    Family(ItemKnnOptions, "recsys.models.item_knn:ItemKnn", "general", "Item-kNN", "Deshpande and Karypis, TOIS 2004"),
    Family(Rp3betaOptions, "recsys.models.rp3beta:Rp3beta", "general", "RP3beta", "Paudel et al., TiiS 2017"),
    Family(EaseOptions, "recsys.models.ease:Ease", "general", "EASE", "Steck, WWW 2019"),
    Family(
        EaseTextOptions,
        "recsys.models.ease_text:EaseText",
        "text",
        "EASE with text",
        "Jeunen et al., RecSys 2020; L3AE, CIKM 2025",
        takes=("item", "user"),
        needs=("item",),
    ),
    Family(
        L3aeOptions,
        "recsys.models.l3ae:L3ae",
        "text",
        "L3AE",
        "Moon et al., CIKM 2025",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        AlphaRecOptions,
        "recsys.models.alpharec:AlphaRec",
        "text",
        "AlphaRec",
        "Sheng et al., ICLR 2025",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        TextCosineOptions,
        "recsys.models.text_cosine:TextCosine",
        "text",
        "Text cosine",
        "Ren et al., WWW 2024 (semantic embeddings only); Ren and Huang, EMNLP 2025",
        takes=("item", "user"),
        needs=("item", "user"),
    ),
    Family(
        TextGcnOptions,
        "recsys.models.text_gcn:TextGcn",
        "text",
        "Graph with text",
        "He et al., SIGIR 2020; Wu et al., TOIS 2024",
        takes=("item", "user"),
        needs=("item",),
    ),
    Family(
        BlendOptions, "recsys.models.blend:Blend", "blend", "Blend", "Vogt and Cottrell, Information Retrieval 1999"
    ),
    Family(TunedOptions, "recsys.models.tuned:Tuned", "blend", "Tuned", "coordinate search on validation"),
    Family(MfBprOptions, "recsys.models.mf_bpr:MfBpr", "general", "MF-BPR", "Rendle et al., UAI 2009"),
    Family(MfBprSgdOptions, "recsys.models.mf_bpr_sgd:MfBprSgd", "general", "MF-BPR (SGD)", "Rendle et al., UAI 2009"),
    Family(LightGcnOptions, "recsys.models.lightgcn:LightGCN", "general", "LightGCN", "He et al., SIGIR 2020"),
    Family(MixGcfOptions, "recsys.models.mixgcf:MixGCF", "general", "MixGCF", "Huang et al., KDD 2021"),
    Family(GccfOptions, "recsys.models.gccf:GCCF", "general", "GCCF", "Chen et al., AAAI 2020"),
    Family(NgcfOptions, "recsys.models.ngcf:NGCF", "general", "NGCF", "Wang et al., SIGIR 2019"),
    Family(
        VbprOptions,
        "recsys.models.vbpr:VBPR",
        "side information",
        "VBPR",
        "He & McAuley, AAAI 2016",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        MmgcnOptions,
        "recsys.models.mmgcn:MMGCN",
        "side information",
        "MMGCN",
        "Wei et al., MM 2019",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        GrcnOptions,
        "recsys.models.grcn:GRCN",
        "side information",
        "GRCN",
        "Wei et al., MM 2020",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        LatticeOptions,
        "recsys.models.lattice:LATTICE",
        "augmentation",
        "LATTICE",
        "Zhang et al., MM 2021",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        MicroOptions,
        "recsys.models.micro:MICRO",
        "augmentation",
        "MICRO",
        "Zhang et al., TKDE 2022",
        takes=("item",),
        needs=("item",),
    ),
    Family(SglOptions, "recsys.models.sgl:SGL", "self-supervised", "SGL", "Wu et al., SIGIR 2021"),
    Family(SimGclOptions, "recsys.models.simgcl:SimGCL", "self-supervised", "SimGCL", "Yu et al., SIGIR 2022"),
    Family(
        ClcrecOptions,
        "recsys.models.clcrec:CLCRec",
        "self-supervised",
        "CLCRec",
        "Wei et al., MM 2021",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        MmsslOptions,
        "recsys.models.mmssl:MMSSL",
        "self-supervised",
        "MMSSL",
        "Wei et al., WWW 2023",
        takes=("item",),
        needs=("item",),
    ),
    Family(DccfOptions, "recsys.models.dccf:DCCF", "self-supervised", "DCCF", "Ren et al., SIGIR 2023"),
    Family(AutoCfOptions, "recsys.models.autocf:AutoCF", "self-supervised", "AutoCF", "Xia et al., WWW 2023"),
    Family(
        LLMRecOptions,
        "recsys.models.llmrec:LLMRec",
        "LLM",
        "LLMRec",
        "Wei et al., WSDM 2024",
        takes=("item", "user", "attributes"),
    ),
    Family(
        TagcfOptions,
        "recsys.models.tagcf:TAGCF",
        "LLM",
        "TAGCF",
        "arXiv 2602.21099",
        takes=("nodes",),
        needs=("nodes",),
    ),
    Family(
        SasRecOptions, "recsys.models.sequential.sasrec:SASRec", "sequential", "SASRec", "Kang and McAuley, ICDM 2018"
    ),
    Family(
        Bert4RecOptions, "recsys.models.sequential.bert4rec:BERT4Rec", "sequential", "BERT4Rec", "Sun et al., CIKM 2019"
    ),
    Family(
        Cl4SrecOptions, "recsys.models.sequential.cl4srec:CL4SRec", "sequential", "CL4SRec", "Xie et al., ICDE 2022"
    ),
    Family(BiasOptions, "recsys.models.bias:Bias", "ratings", "Baseline predictor", "Koren, TKDD 2010"),
    Family(
        DeepFmOptions,
        "recsys.models.ctr.deepfm:DeepFM",
        "ratings",
        "DeepFM",
        "Guo et al., IJCAI 2017",
        takes=("nodes",),
    ),
    Family(NfmOptions, "recsys.models.ctr.nfm:NFM", "ratings", "NFM", "He and Chua, SIGIR 2017", takes=("nodes",)),
    Family(DcnOptions, "recsys.models.ctr.dcn:DCN", "ratings", "DCN", "Wang et al., ADKDD 2017", takes=("nodes",)),
    Family(AfmOptions, "recsys.models.ctr.afm:AFM", "ratings", "AFM", "Xiao et al., IJCAI 2017", takes=("nodes",)),
    Family(
        XDeepFmOptions,
        "recsys.models.ctr.xdeepfm:XDeepFM",
        "ratings",
        "xDeepFM",
        "Lian et al., KDD 2018",
        takes=("nodes",),
    ),
    Family(
        AutoIntOptions,
        "recsys.models.ctr.autoint:AutoInt",
        "ratings",
        "AutoInt",
        "Song et al., CIKM 2019",
        takes=("nodes",),
    ),
)
for _family in SHIPPED:
    FAMILIES.register(_family)
rebuild(BlendOptions)  # its members are of any of them
rebuild(TunedOptions)
