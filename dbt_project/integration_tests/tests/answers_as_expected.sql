select coalesce(asked.question, expected.question) as question, asked.answers, expected.answers as expected
from {{ ref('answers') }} as asked
full join {{ ref('expected_answers') }} as expected on expected.question = asked.question
where asked.answers is distinct from expected.answers
