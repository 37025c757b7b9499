#include "tests/workspace/otlp_messages.hpp"

namespace dbx::standin::proto {

const char* const temporality_words[] = {"AGGREGATION_TEMPORALITY_UNSPECIFIED",
                                         "AGGREGATION_TEMPORALITY_DELTA",
                                         "AGGREGATION_TEMPORALITY_CUMULATIVE", nullptr};
const char* const kind_words[] = {"SPAN_KIND_UNSPECIFIED",
                                  "SPAN_KIND_INTERNAL",
                                  "SPAN_KIND_SERVER",
                                  "SPAN_KIND_CLIENT",
                                  "SPAN_KIND_PRODUCER",
                                  "SPAN_KIND_CONSUMER",
                                  nullptr};
const char* const status_words[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR", nullptr};
const char* const severity_words[] = {"SEVERITY_NUMBER_UNSPECIFIED", "SEVERITY_NUMBER_TRACE",
                                      "SEVERITY_NUMBER_TRACE2",      "SEVERITY_NUMBER_TRACE3",
                                      "SEVERITY_NUMBER_TRACE4",      "SEVERITY_NUMBER_DEBUG",
                                      "SEVERITY_NUMBER_DEBUG2",      "SEVERITY_NUMBER_DEBUG3",
                                      "SEVERITY_NUMBER_DEBUG4",      "SEVERITY_NUMBER_INFO",
                                      "SEVERITY_NUMBER_INFO2",       "SEVERITY_NUMBER_INFO3",
                                      "SEVERITY_NUMBER_INFO4",       "SEVERITY_NUMBER_WARN",
                                      "SEVERITY_NUMBER_WARN2",       "SEVERITY_NUMBER_WARN3",
                                      "SEVERITY_NUMBER_WARN4",       "SEVERITY_NUMBER_ERROR",
                                      "SEVERITY_NUMBER_ERROR2",      "SEVERITY_NUMBER_ERROR3",
                                      "SEVERITY_NUMBER_ERROR4",      "SEVERITY_NUMBER_FATAL",
                                      "SEVERITY_NUMBER_FATAL2",      "SEVERITY_NUMBER_FATAL3",
                                      "SEVERITY_NUMBER_FATAL4",      nullptr};

namespace {

const Message resource{"Resource",
                       {{1, Kind::map, "attributes"}, {2, Kind::number, "dropped_attributes_count"}}};
const Message scope{"InstrumentationScope",
                    {{1, Kind::text, "name"},
                     {2, Kind::text, "version"},
                     {3, Kind::map, "attributes"},
                     {4, Kind::number, "dropped_attributes_count"}}};
const Message exemplar{"Exemplar",
                       {{2, Kind::fixed64, "time_unix_nano"},
                        {3, Kind::real, "as_double"},
                        {4, Kind::hex, "span_id"},
                        {5, Kind::hex, "trace_id"},
                        {6, Kind::sfixed64, "as_int"},
                        {7, Kind::map, "filtered_attributes"}}};
const Message number_point{"NumberDataPoint",
                           {{2, Kind::fixed64, "start_time_unix_nano"},
                            {3, Kind::fixed64, "time_unix_nano"},
                            {4, Kind::real, "as_double"},
                            {5, Kind::message, "exemplars", true, &exemplar},
                            {6, Kind::sfixed64, "as_int"},
                            {7, Kind::map, "attributes"},
                            {8, Kind::number, "flags"}}};
const Message histogram_point{"HistogramDataPoint",
                              {{2, Kind::fixed64, "start_time_unix_nano"},
                               {3, Kind::fixed64, "time_unix_nano"},
                               {4, Kind::fixed64, "count"},
                               {5, Kind::real, "sum"},
                               {6, Kind::fixed64, "bucket_counts", true},
                               {7, Kind::real, "explicit_bounds", true},
                               {8, Kind::message, "exemplars", true, &exemplar},
                               {9, Kind::map, "attributes"},
                               {10, Kind::number, "flags"},
                               {11, Kind::real, "min"},
                               {12, Kind::real, "max"}}};
const Message buckets{"Buckets", {{1, Kind::zigzag, "offset"}, {2, Kind::number, "bucket_counts", true}}};
const Message exponential_point{"ExponentialHistogramDataPoint",
                                {{1, Kind::map, "attributes"},
                                 {2, Kind::fixed64, "start_time_unix_nano"},
                                 {3, Kind::fixed64, "time_unix_nano"},
                                 {4, Kind::fixed64, "count"},
                                 {5, Kind::real, "sum"},
                                 {6, Kind::zigzag, "scale"},
                                 {7, Kind::fixed64, "zero_count"},
                                 {8, Kind::message, "positive_bucket", false, &buckets},
                                 {9, Kind::message, "negative_bucket", false, &buckets},
                                 {10, Kind::number, "flags"},
                                 {11, Kind::message, "exemplars", true, &exemplar},
                                 {12, Kind::real, "min"},
                                 {13, Kind::real, "max"},
                                 {14, Kind::real, "zero_threshold"}}};
const Message quantile{"ValueAtQuantile", {{1, Kind::real, "quantile"}, {2, Kind::real, "value"}}};
const Message summary_point{"SummaryDataPoint",
                            {{2, Kind::fixed64, "start_time_unix_nano"},
                             {3, Kind::fixed64, "time_unix_nano"},
                             {4, Kind::fixed64, "count"},
                             {5, Kind::real, "sum"},
                             {6, Kind::message, "quantile_values", true, &quantile},
                             {7, Kind::map, "attributes"},
                             {8, Kind::number, "flags"}}};
const Message gauge{"Gauge", {{1, Kind::message, "points", true, &number_point}}};
const Message sum{"Sum",
                  {{1, Kind::message, "points", true, &number_point},
                   {2, Kind::word, "aggregation_temporality", false, nullptr, temporality_words},
                   {3, Kind::flag, "is_monotonic"}}};
const Message histogram{"Histogram",
                        {{1, Kind::message, "points", true, &histogram_point},
                         {2, Kind::word, "aggregation_temporality", false, nullptr, temporality_words}}};
const Message exponential{"ExponentialHistogram",
                          {{1, Kind::message, "points", true, &exponential_point},
                           {2, Kind::word, "aggregation_temporality", false, nullptr, temporality_words}}};
const Message summary{"Summary", {{1, Kind::message, "points", true, &summary_point}}};
const Message metric{"Metric",
                     {{1, Kind::text, "name"},
                      {2, Kind::text, "description"},
                      {3, Kind::text, "unit"},
                      {5, Kind::message, "gauge", false, &gauge},
                      {7, Kind::message, "sum", false, &sum},
                      {9, Kind::message, "histogram", false, &histogram},
                      {10, Kind::message, "exponential_histogram", false, &exponential},
                      {11, Kind::message, "summary", false, &summary},
                      {12, Kind::map, "metadata"}}};
const Message log_record{"LogRecord",
                         {{1, Kind::fixed64, "time_unix_nano"},
                          {2, Kind::word, "severity_number", false, nullptr, severity_words},
                          {3, Kind::text, "severity_text"},
                          {5, Kind::any, "body"},
                          {6, Kind::map, "attributes"},
                          {7, Kind::number, "dropped_attributes_count"},
                          {8, Kind::fixed32, "flags"},
                          {9, Kind::hex, "trace_id"},
                          {10, Kind::hex, "span_id"},
                          {11, Kind::fixed64, "observed_time_unix_nano"},
                          {12, Kind::text, "event_name"}}};
const Message event{"Span.Event",
                    {{1, Kind::fixed64, "time_unix_nano"},
                     {2, Kind::text, "name"},
                     {3, Kind::map, "attributes"},
                     {4, Kind::number, "dropped_attributes_count"}}};
const Message link{"Span.Link",
                   {{1, Kind::hex, "trace_id"},
                    {2, Kind::hex, "span_id"},
                    {3, Kind::text, "trace_state"},
                    {4, Kind::map, "attributes"},
                    {5, Kind::number, "dropped_attributes_count"},
                    {6, Kind::fixed32, "flags"}}};
const Message status{"Status",
                     {{2, Kind::text, "message"}, {3, Kind::word, "code", false, nullptr, status_words}}};
const Message span{"Span",
                   {{1, Kind::hex, "trace_id"},
                    {2, Kind::hex, "span_id"},
                    {3, Kind::text, "trace_state"},
                    {4, Kind::hex, "parent_span_id"},
                    {5, Kind::text, "name"},
                    {6, Kind::word, "kind", false, nullptr, kind_words},
                    {7, Kind::fixed64, "start_time_unix_nano"},
                    {8, Kind::fixed64, "end_time_unix_nano"},
                    {9, Kind::map, "attributes"},
                    {10, Kind::number, "dropped_attributes_count"},
                    {11, Kind::message, "events", true, &event},
                    {12, Kind::number, "dropped_events_count"},
                    {13, Kind::message, "links", true, &link},
                    {14, Kind::number, "dropped_links_count"},
                    {15, Kind::message, "status", false, &status},
                    {16, Kind::fixed32, "flags"}}};

struct Tree {
    explicit Tree(const Message* leaf)
        : in_scope{"Scope of a resource",
                   {{1, Kind::message, "scope", false, &scope},
                    {2, Kind::message, "items", true, leaf},
                    {3, Kind::text, "schema_url"}}}
        , in_resource{"Resource of a request",
                      {{1, Kind::message, "resource", false, &resource},
                       {2, Kind::message, "scopes", true, &in_scope},
                       {3, Kind::text, "schema_url"}}}
        , request{"Export request", {{1, Kind::message, "resources", true, &in_resource}}} {}
    Message in_scope;
    Message in_resource;
    Message request;
};
const Tree metrics_tree(&metric);
const Tree logs_tree(&log_record);
const Tree traces_tree(&span);

} // namespace

const Message& export_request(OtlpSignal signal) {
    const Tree& tree = signal == OtlpSignal::metrics ? metrics_tree
                       : signal == OtlpSignal::logs  ? logs_tree
                                                     : traces_tree;
    return tree.request;
}

} // namespace dbx::standin::proto
