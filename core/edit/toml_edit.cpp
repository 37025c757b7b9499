#include "core/edit/formats.hpp"
#include "core/edit/position.hpp"
#include "core/edit/toml_plan.hpp"

#include <algorithm>
#include <utility>

namespace dbx::edit {

namespace {

// Paths of what stands inside a value.
class LeafSink : public TomlValueSink {
  public:
    LeafSink(std::string_view text, KeyPath path, std::vector<Leaf>& leaves)
        : text_(text)
        , path_(std::move(path))
        , leaves_(leaves) {}

    void open(TomlOffset, bool array) override {
        enter();
        levels_.push_back({array, 0, path_.size()});
    }
    void close(TomlOffset) override {
        path_.resize(levels_.back().depth);
        levels_.pop_back();
        leave();
    }
    void key(std::span<const TomlRange> parts) override {
        for (const auto& part : parts)
            path_.push_back(decode_toml_string(text_.substr(part.begin, part.end - part.begin)));
    }
    void scalar(TomlRange range) override {
        enter();
        Leaf leaf;
        leaf.path = path_;
        leaf.offset = range.begin;
        leaf.length = range.end - range.begin;
        const auto spelling = text_.substr(leaf.offset, leaf.length);
        leaf.is_string = spelling[0] == '"' || spelling[0] == '\'';
        leaf.text = decode_toml_string(spelling);
        leaves_.push_back(std::move(leaf));
        leave();
    }

  private:
    struct Level {
        bool array = false;
        std::size_t index = 0;
        std::size_t depth = 0;
    };
    void enter() {
        if (!levels_.empty() && levels_.back().array) path_.push_back(std::to_string(levels_.back().index++));
    }
    void leave() {
        if (!levels_.empty()) path_.resize(levels_.back().depth);
    }

    std::string_view text_;
    KeyPath path_;
    std::vector<Leaf>& leaves_;
    std::vector<Level> levels_;
};

class TomlDocument : public Document {
  public:
    explicit TomlDocument(std::unique_ptr<TomlSource> source)
        : source_(std::move(source)) {}

    const std::string& text() const override { return source_->text; }

    std::optional<Found> get(const KeyPath& path) const override {
        auto value = source_->tree.value_at(path);
        const auto place = find(path);
        if (!value || !place) return std::nullopt;
        Found found;
        found.value = *std::move(value);
        found.raw = std::string(source_->view(place->value));
        found.offset = found.raw.empty() ? place->key : place->value.begin;
        found.position = position_at(source_->text, place->key);
        return found;
    }

    std::optional<Position> position(const KeyPath& path) const override {
        const auto place = find(path);
        if (!place) return std::nullopt;
        return position_at(source_->text, place->key);
    }

    Value value() const override { return source_->tree.value(); }

    std::vector<Leaf> leaves() const override {
        std::vector<Leaf> out;
        const auto& statements = source_->scan.statements;
        for (std::uint32_t i = 0; i < statements.size(); ++i) {
            if (statements[i].kind != TomlStatement::Kind::pair) continue;
            LeafSink sink(source_->text, source_->model.path(source_->model.node_of(i)), out);
            walk_toml_value(source_->text, statements[i].value.begin, sink);
        }
        return out;
    }

    Result<std::string> apply(std::span<const Edit> edits) const override {
        const auto wishes = toml_wishes(edits);
        if (!wishes) return tl::unexpected(wishes.error());
        TomlPlan plan(*source_);
        std::vector<TomlExpectation> expectations;
        auto made = plan.make(*wishes, expectations);
        if (!made) return tl::unexpected(std::move(made).error());
        if (!*made) return source_->text;
        auto& text = **made;
        const auto defect = [](std::string why) {
            return fail(ErrorKind::file, "the edit did not come out as intended",
                        std::move(why) + "; this is a defect of dbx-agents",
                        "make this change by hand, and please report it");
        };
        if (text.size() > max_file_bytes)
            return fail(ErrorKind::file, "it would become too large",
                        "the limit is " + std::to_string(max_file_bytes >> 20) + " MiB");
        const auto after = TomlTree::parse(text);
        if (!after) return defect("the new text would not be valid TOML (" + after.error().why + ")");
        if (const auto difference = first_difference(source_->tree, *after, expectations))
            return defect("`" + to_string(*difference) + "` would not have the right value");
        return std::move(text);
    }

  private:
    struct Place {
        TomlOffset key = 0;
        TomlRange value; // empty: it has no one place
    };

    std::optional<Place> find(const KeyPath& path) const {
        const auto& model = source_->model;
        TomlNodeId at = TomlModel::root;
        for (std::size_t i = 0; i < path.size(); ++i) {
            const auto next = model.child(at, path[i]);
            if (next == toml_none) return std::nullopt;
            at = next;
            if (model[at].kind == TomlNode::Kind::table || i + 1 == path.size()) continue;
            if (model[at].kind != TomlNode::Kind::value) return std::nullopt;
            return find_inside(source_->scan.statements[model[at].pair], std::span(path).subspan(i + 1));
        }
        Place place;
        if (path.empty()) return place;
        const auto& node = model[at];
        const auto& mention = source_->scan.statements[node.mention];
        if (node.kind == TomlNode::Kind::value) {
            place.key = mention.key.begin;
            place.value = mention.value;
        } else if (node.header != toml_none) {
            place.key = source_->scan.statements[node.header].value.begin;
        } else if (mention.kind == TomlStatement::Kind::pair) {
            place.key = mention.key.begin;
        } else {
            place.key = mention.value.begin;
        }
        return place;
    }

    std::optional<Place> find_inside(const TomlStatement& pair, std::span<const std::string> path) const {
        if (source_->text[pair.value.begin] != '{') return std::nullopt;
        const auto found = TomlInline(source_->text, pair.value.begin).locate(path);
        if (found.kind != TomlInline::Place::Kind::value && found.kind != TomlInline::Place::Kind::dotted)
            return std::nullopt;
        return Place{found.key, found.value};
    }

    std::unique_ptr<TomlSource> source_;
};

} // namespace

Result<std::unique_ptr<Document>> parse_toml(std::string text) {
    TomlScan scan;
    TomlScanFailure failure;
    if (!scan_toml(text, scan, failure))
        return fail(ErrorKind::file, "it is not valid TOML",
                    at_position(position_at(text, failure.offset), failure.reason));
    auto tree = TomlTree::parse(text);
    if (!tree) return tl::unexpected(std::move(tree).error());
    auto source = std::make_unique<TomlSource>(std::move(text), *std::move(tree));
    source->scan = std::move(scan);
    if (!source->model.build(source->text, source->scan) ||
        !source->tree.agrees(source->text, source->scan, source->model))
        return fail(ErrorKind::file, "this TOML can not be edited safely",
                    at_position({1, 1}, "its two readings differ; this is a defect of dbx-agents"));
    return std::make_unique<TomlDocument>(std::move(source));
}

} // namespace dbx::edit
