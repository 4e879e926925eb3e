from snakemake.utils import min_version

min_version("9.18")


configfile: "params.yaml"
configfile: f"workflow/scenarios/{config['scenario']}.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/mixtures.smk"
include: "workflow/rules/encoders.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/delivery.smk"


rule all:
    default_target: True
    input:
        rules.data.input,
        rules.mixtures.input,
        rules.encoders.input,
        rules.training.input,
        rules.evaluation.input,
        rules.delivery.input,
