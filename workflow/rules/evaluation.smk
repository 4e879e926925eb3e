"""Phase evaluation: predictions of every model, scores of every prediction, one matrix.

REQUIRES  results/<scenario>/models, results/<scenario>/mixtures/audit.parquet, data/prepared
MAKES     results/<scenario>/predictions/<recipe>/<scope>/seed<k>/<task>/<test set>.parquet
          results/<scenario>/scores/<recipe>.parquet, results/<scenario>/matrix.{parquet,csv,md}

Test sets are named by their role: ro, ro-stripped (diacritics removed), ro-valid, en.
"""


rule evaluation:
    input:
        [file for cell in CELLS for file in prediction_files(cell.recipe, cell.scope)],
        expand(f"{RESULTS}/scores/{{recipe}}.parquet", recipe=recipes.order_recipes(SETTINGS)),
        f"{RESULTS}/matrix.parquet",
        f"{RESULTS}/matrix.csv",
        f"{RESULTS}/matrix.md",


rule predict:
    input:
        models=lambda wildcards: model_files(wildcards.recipe, wildcards.scope),
        data=test_files,
        code=code("predict"),
    output:
        expand(
            f"{RESULTS}/predictions/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{{{scope}}}}/{{name}}.parquet",
            seed=SEEDS,
            name=TEST_SETS,
        ),
    log:
        f"{LOGS}/predict/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/predict/{{recipe}}-{{scope}}.tsv"
    wildcard_constraints:
        recipe="|".join(NEURAL) or "(?!)",
        scope="|".join(TASKS),
    threads: 8
    resources:
        gpu=1,
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
        expand(
            f"{RESULTS}/predictions/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{task}}/{{name}}.parquet",
            seed=SEEDS,
            task=TASKS,
            name=TEST_SETS,
        ),
    wildcard_constraints:
        recipe="|".join(NEURAL) or "(?!)",
        scope=recipes.ALL_TASKS,


use rule predict as predict_linear with:
    output:
        expand(
            f"{RESULTS}/predictions/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{{{scope}}}}/{{name}}.parquet",
            seed=SEEDS[:1],
            name=TEST_SETS,
        ),
    wildcard_constraints:
        recipe="|".join(LINEAR) or "(?!)",
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
