--[[
Refuses a merge that would publish Parquet files with forbidden columns, or without the columns they must have.

args.forbidden_columns: Go regular expressions over names of columns.
args.tables: list of {path: Go regular expression over the name of a file, columns: names it must have}.
args.max_bytes: size above which a file is refused unread.
]]

local hook = require("hook")
local lakefs = require("lakefs")
local parquet = require("encoding/parquet")
local regexp = require("regexp")
local strings = require("strings")

local MOST_FINDINGS = 20

local findings = {}

local function refuse(path, why)
    table.insert(findings, path .. ": " .. why)
end

local function check_columns(path, present)
    for column, _ in pairs(present) do
        for _, pattern in ipairs(args.forbidden_columns or {}) do
            if regexp.match(pattern, column) then
                refuse(path, "column '" .. column .. "' may not be published (" .. pattern .. ")")
            end
        end
    end
    for _, rule in ipairs(args.tables or {}) do
        if regexp.match(rule.path, path) then
            for _, column in ipairs(rule.columns) do
                if not present[column] then
                    refuse(path, "column '" .. column .. "' is missing")
                end
            end
        end
    end
end

local function check_file(change)
    if change.size_bytes and change.size_bytes > args.max_bytes then
        refuse(change.path, change.size_bytes .. " bytes are more than a hook reads; see max_bytes")
        return
    end
    local code, content = lakefs.get_object(action.repository_id, action.source_ref, change.path)
    if code ~= 200 then
        refuse(change.path, "could not be read: HTTP " .. code)
        return
    end
    -- A damaged file is a finding: without pcall it would hide those of the other files.
    local readable, schema = pcall(parquet.get_schema, content)
    if not readable then
        refuse(change.path, "is not a Parquet file")
        return
    end
    local present = {}
    for _, column in ipairs(schema) do
        present[column.name] = true
    end
    check_columns(change.path, present)
end

local after = ""
repeat
    -- Three dots: what the source changed since it left the branch, not what was published in between.
    local code, page = lakefs.diff_refs(action.repository_id, action.branch_id, action.source_ref, after)
    if code ~= 200 then
        hook.fail("the changes could not be listed: HTTP " .. code)
    end
    for _, change in ipairs(page.results) do
        if change.path_type == "object" and change.type ~= "removed" and strings.has_suffix(change.path, ".parquet") then
            check_file(change)
        end
    end
    after = page.pagination.next_offset
until not page.pagination.has_more

if #findings > 0 then
    table.sort(findings)
    local shown = table.concat(findings, "; ", 1, math.min(#findings, MOST_FINDINGS))
    if #findings > MOST_FINDINGS then
        shown = shown .. "; and " .. (#findings - MOST_FINDINGS) .. " more"
    end
    hook.fail(shown)
end
