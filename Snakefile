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


# Snakemake's own limit, 100 jobs a second, wakes its scheduler once a second more for every job that
# has finished; after a hundred of them it takes most of a core. A limit of yours stays.
onstart:
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


rule all:
    default_target: True
    input:
        rules.data.input,
        rules.mixtures.input,
        rules.encoders.input,
        rules.training.input,
        rules.evaluation.input,
        rules.delivery.input,
