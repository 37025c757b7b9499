#include "tests/workspace/otlp_columns.hpp"

namespace dbx::standin {

const std::vector<std::pair<std::string, std::string>>& documented_columns(OtlpSignal signal) {
    using Columns = std::vector<std::pair<std::string, std::string>>;
    const std::string map = "map<string,string>";
    const std::string of_resource = "struct<attributes:" + map + ",dropped_attributes_count:int>";
    const std::string of_scope =
        "struct<name:string,version:string,attributes:" + map + ",dropped_attributes_count:int>";
    const std::string exemplars =
        "array<struct<time_unix_nano:bigint,value:double,span_id:string,trace_id:string,"
        "filtered_attributes:" +
        map + ">>";
    const std::string times = "start_time_unix_nano:bigint,time_unix_nano:bigint";
    const std::string bucket = "struct<offset:int,bucket_counts:array<bigint>>";
    static const Columns metrics = {
        {"name", "string"},
        {"description", "string"},
        {"unit", "string"},
        {"metric_type", "string"},
        {"gauge",
         "struct<" + times + ",value:double,exemplars:" + exemplars + ",attributes:" + map + ",flags:int>"},
        {"sum", "struct<" + times + ",value:double,exemplars:" + exemplars + ",attributes:" + map +
                    ",flags:int,aggregation_temporality:string,is_monotonic:boolean>"},
        {"histogram",
         "struct<" + times +
             ",count:bigint,sum:double,bucket_counts:array<bigint>,explicit_bounds:array<double>,"
             "exemplars:" +
             exemplars + ",attributes:" + map +
             ",flags:int,min:double,max:double,aggregation_temporality:string>"},
        {"exponential_histogram",
         "struct<attributes:" + map + "," + times +
             ",count:bigint,sum:double,scale:int,zero_count:bigint,positive_bucket:" + bucket +
             ",negative_bucket:" + bucket + ",flags:int,exemplars:" + exemplars +
             ",min:double,max:double,zero_threshold:double,aggregation_temporality:string>"},
        {"summary",
         "struct<" + times +
             ",count:bigint,sum:double,quantile_values:array<struct<quantile:double,value:double>>,"
             "attributes:" +
             map + ",flags:int>"},
        {"metadata", map},
        {"resource", of_resource},
        {"resource_schema_url", "string"},
        {"instrumentation_scope", of_scope},
        {"metric_schema_url", "string"}};
    static const Columns logs = {{"event_name", "string"},
                                 {"trace_id", "string"},
                                 {"span_id", "string"},
                                 {"time_unix_nano", "bigint"},
                                 {"observed_time_unix_nano", "bigint"},
                                 {"severity_number", "string"},
                                 {"severity_text", "string"},
                                 {"body", "string"},
                                 {"attributes", map},
                                 {"dropped_attributes_count", "int"},
                                 {"flags", "int"},
                                 {"resource", of_resource},
                                 {"resource_schema_url", "string"},
                                 {"instrumentation_scope", of_scope},
                                 {"log_schema_url", "string"}};
    static const Columns traces = {
        {"trace_id", "string"},
        {"span_id", "string"},
        {"trace_state", "string"},
        {"parent_span_id", "string"},
        {"flags", "int"},
        {"name", "string"},
        {"kind", "string"},
        {"start_time_unix_nano", "bigint"},
        {"end_time_unix_nano", "bigint"},
        {"attributes", map},
        {"dropped_attributes_count", "int"},
        {"events", "array<struct<time_unix_nano:bigint,name:string,attributes:" + map +
                       ",dropped_attributes_count:int>>"},
        {"dropped_events_count", "int"},
        {"links", "array<struct<trace_id:string,span_id:string,trace_state:string,attributes:" + map +
                      ",dropped_attributes_count:int,flags:int>>"},
        {"dropped_links_count", "int"},
        {"status", "struct<message:string,code:string>"},
        {"resource", of_resource},
        {"resource_schema_url", "string"},
        {"instrumentation_scope", of_scope},
        {"span_schema_url", "string"}};
    return signal == OtlpSignal::metrics ? metrics : signal == OtlpSignal::logs ? logs : traces;
}

} // namespace dbx::standin
