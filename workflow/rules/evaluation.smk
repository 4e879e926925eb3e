"""Phase evaluation: predictions of every model, scores of every prediction, one matrix.

REQUIRES  results/<scenario>/models, results/<scenario>/mixtures/audit.parquet, data/prepared
MAKES     results/<scenario>/predictions/<recipe>/<scope>/seed<k>/<task>.parquet
          results/<scenario>/scores/<recipe>.parquet, results/<scenario>/matrix.{parquet,csv,md}
          results/<scenario>/{comparisons,influence,gaps,calibration,loyalty}.json

A file of predictions holds every test set of a task by its role (src/distilro/roles.py).
"""


rule evaluation:
    input:
        all_predictions(),
        expand(f"{RESULTS}/scores/{{recipe}}.parquet", recipe=recipes.order_recipes(SETTINGS)),
        f"{RESULTS}/matrix.parquet",
        f"{RESULTS}/matrix.csv",
        f"{RESULTS}/matrix.md",
        [f"{RESULTS}/{name}.json" for name in EVIDENCE],


rule predict:
    input:
        models=lambda wildcards: model_files(wildcards.recipe, wildcards.scope),
        data=test_files,
        code=code("predict"),
    output:
        single_predictions(SEEDS),
    log:
        f"{LOGS}/predict/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/predict/{{recipe}}-{{scope}}.tsv"
    wildcard_constraints:
        recipe=NEURAL_RECIPE,
        scope="|".join(TASKS),
    threads: SETTINGS.training.threads
    resources:
        gpu=SETTINGS.training.gpus,
    params:
        settings=prediction_settings,
        seeds=" ".join(map(str, SEEDS)),
    message:
        "Predicting with {wildcards.recipe}/{wildcards.scope}"
    shell:
        "distilro predict --cell {wildcards.recipe}/{wildcards.scope} --seeds {params.seeds}"
        " --settings {params.settings:q} --prepared data/prepared"
        f" --results {RESULTS}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"


use rule predict as predict_joint with:
    output:
        [
            f"{RESULTS}/predictions/{{recipe}}/{{scope}}/seed{seed}/{task}.parquet"
            for seed in SEEDS
            for task in TASKS
        ],
    wildcard_constraints:
        recipe=NEURAL_RECIPE,
        scope=recipes.ALL_TASKS,


rule predict_pair:
    input:
        models=lambda wildcards: model_files(wildcards.recipe, name_pair(wildcards)),
        data=lambda wildcards: test_files_of(name_pair(wildcards)),
        code=code("predict"),
    output:
        [
            f"{RESULTS}/predictions/{{recipe}}/{{first}}+{{second}}/seed{seed}/{{{task}}}.parquet"
            for seed in SEEDS
            for task in ("first", "second")
        ],
    log:
        f"{LOGS}/predict/{{recipe}}-{{first}}+{{second}}.log",
    benchmark:
        f"{BENCHMARKS}/predict/{{recipe}}-{{first}}+{{second}}.tsv"
    wildcard_constraints:
        recipe=NEURAL_RECIPE,
    threads: SETTINGS.training.threads
    resources:
        gpu=SETTINGS.training.gpus,
    params:
        settings=lambda wildcards: prediction_settings_of(name_pair(wildcards)),
        seeds=" ".join(map(str, SEEDS)),
    message:
        "Predicting with {wildcards.recipe}/{wildcards.first}+{wildcards.second}"
    shell:
        "distilro predict --cell {wildcards.recipe}/{wildcards.first}+{wildcards.second}"
        " --seeds {params.seeds}"
        " --settings {params.settings:q} --prepared data/prepared"
        f" --results {RESULTS}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"


use rule predict as predict_linear with:
    output:
        single_predictions(SEEDS[:1]),
    wildcard_constraints:
        recipe=LINEAR_RECIPE,
        scope="|".join(TASKS),
    threads: 1
    resources:
        gpu=0,
    params:
        settings=prediction_settings,
        seeds=SEEDS[0],


rule score:
    input:
        predictions=predictions_of_recipe,
        audit=f"{RESULTS}/mixtures/audit.parquet",
        code=code("score"),
    output:
        scores=f"{RESULTS}/scores/{{recipe}}.parquet",
    log:
        f"{LOGS}/score/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/score/{{recipe}}.tsv"
    params:
        settings=as_json(SETTINGS.evaluation.model_dump(mode="json")),
    message:
        "Scoring {wildcards.recipe}"
    shell:
        "distilro score --predictions {input.predictions} --audit {input.audit}"
        " --settings {params.settings:q} --out {output.scores} 2> {log}"


rule matrix:
    input:
        scores=expand(
            f"{RESULTS}/scores/{{recipe}}.parquet", recipe=recipes.order_recipes(SETTINGS)
        ),
        code=code("matrix"),
    output:
        matrix=f"{RESULTS}/matrix.parquet",
        csv=f"{RESULTS}/matrix.csv",
        markdown=f"{RESULTS}/matrix.md",
    log:
        f"{LOGS}/matrix.log",
    benchmark:
        f"{BENCHMARKS}/matrix.tsv"
    message:
        "Joining the scores into one matrix"
    shell:
        "distilro matrix --scores {input.scores} --out {output.matrix} --csv {output.csv}"
        " --markdown {output.markdown} 2> {log}"


rule compare:
    input:
        predictions=all_predictions(),
        code=code("compare"),
    output:
        comparisons=f"{RESULTS}/comparisons.json",
        influence=f"{RESULTS}/influence.json",
    log:
        f"{LOGS}/compare.log",
    benchmark:
        f"{BENCHMARKS}/compare.tsv"
    params:
        settings=as_json(evidence.describe_comparisons(SETTINGS)),
    message:
        "Comparing every recipe with its reference"
    shell:
        "distilro compare --settings {params.settings:q} --predictions {input.predictions}"
        " --out {output.comparisons} --influence {output.influence} 2> {log}"


rule calibrate:
    input:
        predictions=all_predictions(),
        code=code("calibrate"),
    output:
        calibration=f"{RESULTS}/calibration.json",
    log:
        f"{LOGS}/calibrate.log",
    benchmark:
        f"{BENCHMARKS}/calibrate.tsv"
    message:
        "Measuring how far probabilities can be trusted"
    shell:
        "distilro calibrate --settings '{{}}' --predictions {input.predictions}"
        " --out {output.calibration} 2> {log}"


rule loyalty:
    input:
        predictions=all_predictions(),
        code=code("loyalty"),
    output:
        loyalty=f"{RESULTS}/loyalty.json",
    log:
        f"{LOGS}/loyalty.log",
    benchmark:
        f"{BENCHMARKS}/loyalty.tsv"
    params:
        settings=as_json(evidence.describe_loyalty(SETTINGS)),
    message:
        "Measuring how loyal students are to their teachers"
    shell:
        "distilro loyalty --settings {params.settings:q} --predictions {input.predictions}"
        " --out {output.loyalty} 2> {log}"


rule language_gap:
    input:
        measured=gap_inputs(),
        code=code("language_gap"),
    output:
        gaps=f"{RESULTS}/gaps.json",
    log:
        f"{LOGS}/language_gap.log",
    benchmark:
        f"{BENCHMARKS}/language_gap.tsv"
    threads: SETTINGS.training.threads
    resources:
        gpu=SETTINGS.training.gpus if GAPS["pairs"] else 0,
    params:
        settings=as_json(GAPS),
    message:
        "Measuring how far apart the languages lie"
    shell:
        "distilro language-gap --settings {params.settings:q} --prepared data/prepared"
        f" --results {RESULTS} --out {{output.gaps}}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"
